//! Submissions: a batch is accepted as a whole or not at all, and once, however often it is repeated (G1, G2, G4).

use domain::{Status, Timestamp};

use crate::kit::table_dump::dump_tables;
use crate::kit::{ANN, each_database, json, millis, result};

/// G3: every field of a new task.
#[tokio::test]
async fn a_submitted_task_is_created() {
    each_database(|test| async move {
        let id = test.created().await;
        let task = test.task(id).await;
        assert_eq!(task.status, Status::Created);
        assert_eq!(task.creation_date, Timestamp(test.now()));
        assert_eq!((task.attempts, task.start_date, task.end_date, task.deadline), (0, None, None, None));
        assert_eq!((task.worker_name, task.reason, task.error), (None, None, None));
    })
    .await;
}

/// G2: repeating a batch changes nothing, whatever has happened to its tasks meanwhile.
#[tokio::test]
async fn a_repeated_submission_changes_nothing() {
    each_database(|test| async move {
        let batch: Vec<_> = (0..4).map(|_| test.submission()).collect();
        test.store.submit(&batch).await.unwrap();
        test.claim(batch[1].id, "w1").await.unwrap();
        let finished = test.claim(batch[2].id, "w1").await.unwrap();
        test.report(&finished, result("1")).await;
        test.store.cancel(ANN, &[batch[3].id]).await.unwrap();
        let before = dump_tables(&test.db).await;

        test.advance(1).await;
        let changed = batch.iter().map(|task| domain::Submission {
            parameters: Some(json("\"other\"")),
            ttl: millis(1),
            ..task.clone()
        });
        let changed: Vec<_> = changed.collect();
        test.store.submit(&batch).await.unwrap();
        test.store.submit(&changed).await.unwrap();
        assert_eq!(dump_tables(&test.db).await, before);
    })
    .await;
}

/// G2: new tasks are accepted beside repeated ones, also if the batch has a task twice.
#[tokio::test]
async fn a_batch_may_mix_new_and_repeated_tasks() {
    each_database(|test| async move {
        let (old, new) = (test.submission(), test.submission());
        test.store.submit(std::slice::from_ref(&old)).await.unwrap();
        test.store.submit(&[new.clone(), old, new.clone()]).await.unwrap();
        assert_eq!(test.store.counts().await.unwrap().created, 2);
        assert_eq!(test.status(new.id).await, Status::Created);
    })
    .await;
}

/// G1: the same batch from two Backends at the same time is accepted once, and neither call fails.
#[tokio::test(flavor = "multi_thread")]
async fn racing_repeats_are_one_submission() {
    each_database(|test| async move {
        for _ in 0..10 {
            let batch: Vec<_> = (0..20).map(|_| test.submission()).collect();
            let reversed: Vec<_> = batch.iter().rev().cloned().collect();
            let another = test.another();
            let (first, second) = tokio::join!(test.store.submit(&batch), another.submit(&reversed));
            first.unwrap();
            second.unwrap();
        }
        assert_eq!(test.store.counts().await.unwrap().created, 200);
    })
    .await;
}

#[tokio::test]
async fn an_empty_batch_is_accepted() {
    each_database(|test| async move {
        test.store.submit(&[]).await.unwrap();
        assert_eq!(test.store.counts().await.unwrap().accepted, 0);
    })
    .await;
}

/// Ids of one process rise, even within one microsecond.
#[tokio::test]
async fn ids_rise() {
    each_database(|test| async move {
        let mut last = test.store.new_task_id();
        for step in 0..2000 {
            if step % 100 == 0 {
                test.clock.advance(1);
            }
            let next = test.store.new_task_id();
            assert!(last < next, "{last} then {next}");
            last = next;
        }
        test.clock.advance(-5_000_000);
        assert!(last < test.store.new_task_id(), "even when the clock is set back");
    })
    .await;
}
