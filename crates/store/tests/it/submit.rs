//! Submission: all of a batch or none, and once however often it is sent (G1, G2, G4).

use domain::{Status, Timestamp};

use crate::kit::table_dump::books;
use crate::kit::{ANN, each_database, json, millis, result};

/// G3: what a new task looks like.
#[tokio::test]
async fn a_submitted_task_is_created() {
    each_database(|bench| async move {
        let id = bench.created().await;
        let task = bench.task(id).await;
        assert_eq!(task.status, Status::Created);
        assert_eq!(task.creation_date, Timestamp(bench.now()));
        assert_eq!((task.attempt, task.start_date, task.end_date, task.deadline), (0, None, None, None));
        assert_eq!((task.worker_name, task.reason, task.error), (None, None, None));
    })
    .await;
}

/// G2: a batch whose commit is unknown is repeated, and nothing changes, wherever its tasks have gone meanwhile.
#[tokio::test]
async fn a_repeated_submission_changes_nothing() {
    each_database(|bench| async move {
        let batch: Vec<_> = (0..4).map(|_| bench.submission()).collect();
        bench.store.submit(&batch).await.unwrap();
        bench.claim(batch[1].id, "w1").await.unwrap();
        let finished = bench.claim(batch[2].id, "w1").await.unwrap();
        bench.report(&finished, result("1")).await;
        bench.store.cancel(ANN, &[batch[3].id]).await.unwrap();
        let before = books(&bench.db).await;

        bench.advance(1).await;
        let changed = batch.iter().map(|task| domain::Submission {
            parameters: Some(json("\"other\"")),
            ttl: millis(1),
            ..task.clone()
        });
        let changed: Vec<_> = changed.collect();
        bench.store.submit(&batch).await.unwrap();
        bench.store.submit(&changed).await.unwrap();
        assert_eq!(books(&bench.db).await, before);
    })
    .await;
}

/// G2: what is new in a batch is accepted beside what is repeated, also where the batch names a task twice.
#[tokio::test]
async fn a_batch_may_mix_the_new_and_the_repeated() {
    each_database(|bench| async move {
        let (old, new) = (bench.submission(), bench.submission());
        bench.store.submit(std::slice::from_ref(&old)).await.unwrap();
        bench.store.submit(&[new.clone(), old, new.clone()]).await.unwrap();
        assert_eq!(bench.store.counts().await.unwrap().created, 2);
        assert_eq!(bench.status(new.id).await, Status::Created);
    })
    .await;
}

/// G1: the same batch sent by two Backends at once is accepted once, and neither is refused.
#[tokio::test(flavor = "multi_thread")]
async fn racing_repeats_are_one_submission() {
    each_database(|bench| async move {
        for _ in 0..10 {
            let batch: Vec<_> = (0..20).map(|_| bench.submission()).collect();
            let reversed: Vec<_> = batch.iter().rev().cloned().collect();
            let another = bench.another();
            let (first, second) = tokio::join!(bench.store.submit(&batch), another.submit(&reversed));
            first.unwrap();
            second.unwrap();
        }
        assert_eq!(bench.store.counts().await.unwrap().created, 200);
    })
    .await;
}

#[tokio::test]
async fn nothing_may_be_submitted() {
    each_database(|bench| async move {
        bench.store.submit(&[]).await.unwrap();
        assert_eq!(bench.store.counts().await.unwrap().accepted, 0);
    })
    .await;
}

/// Ids sort by submission, within a process even inside one microsecond.
#[tokio::test]
async fn ids_rise() {
    each_database(|bench| async move {
        let mut last = bench.store.new_task_id();
        for step in 0..2000 {
            if step % 100 == 0 {
                bench.clock.advance(1);
            }
            let next = bench.store.new_task_id();
            assert!(last < next, "{last} then {next}");
            last = next;
        }
        bench.clock.advance(-5_000_000);
        assert!(last < bench.store.new_task_id(), "even when the clock is set back");
    })
    .await;
}
