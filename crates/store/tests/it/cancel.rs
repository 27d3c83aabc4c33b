//! Cancellation by the owner: it ends what has not ended, and nothing of another owner's (G4, G12, G13).

use domain::{Reason, Status, Timestamp};
use tokio::task::JoinSet;

use crate::kit::table_dump::dump_tables;
use crate::kit::{ANN, BOB, SECOND, attributed, each_database, report, result};

/// G12: in every status that is not final.
#[tokio::test]
async fn an_owner_cancels_unfinished_tasks() {
    each_database(|test| async move {
        let created = test.created().await;
        let running = test.running().await;
        test.advance(SECOND).await;
        let mut ended = test.store.cancel(ANN, &[running.id, created]).await.unwrap();
        ended.sort_unstable_by_key(|ended| ended.id);
        let facts: Vec<_> = ended.iter().map(|e| (e.id, e.attempt, e.reason, e.ended)).collect();
        let now = Timestamp(test.now());
        let requested = Some(Reason::Requested);
        assert_eq!(facts, [(created, 0, requested, now), (running.id, 1, requested, now)]);
        for (id, started) in [(created, None), (running.id, Some(now.plus_micros(-SECOND)))] {
            let task = test.task(id).await;
            assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::Requested)));
            assert_eq!((task.end_date, task.start_date), (Some(now), started));
        }
    })
    .await;
}

/// G4: cancelling an ended task changes nothing.
#[tokio::test]
async fn an_ended_task_stays_as_it_ended() {
    each_database(|test| async move {
        let finished = test.running().await;
        test.report(&finished, result("1")).await;
        let cancelled = test.created().await;
        test.store.cancel(ANN, &[cancelled]).await.unwrap();
        let before = dump_tables(&test.db).await;
        test.advance(SECOND).await;
        let unknown = test.store.new_task_id();
        assert_eq!(test.store.cancel(ANN, &[finished.id, cancelled, unknown]).await.unwrap(), []);
        assert_eq!(test.store.cancel(ANN, &[]).await.unwrap(), []);
        assert_eq!(dump_tables(&test.db).await, before);
    })
    .await;
}

/// G13: another owner's task cannot be cancelled.
#[tokio::test]
async fn only_the_owner_can_cancel() {
    each_database(|test| async move {
        let (created, running) = (test.created().await, test.running().await);
        let before = dump_tables(&test.db).await;
        assert_eq!(test.store.cancel(BOB, &[created, running.id]).await.unwrap(), []);
        assert_eq!(dump_tables(&test.db).await, before);
    })
    .await;
}

/// G3, G12: a result and a cancellation race; one of them ends the task, and both return which.
#[tokio::test(flavor = "multi_thread")]
async fn a_racing_result_and_cancellation_agree_on_the_outcome() {
    each_database(|test| async move {
        for _ in 0..40 {
            let grant = test.running().await;
            let (first, second) = (test.store.clone(), test.another());
            let reports = vec![attributed("w1", report(&grant, result("1")))];
            let mut settle = JoinSet::new();
            settle.spawn(async move { first.settle(&reports).await.unwrap().remove(0) });
            let ended = second.cancel(ANN, &[grant.id]).await.unwrap();
            let settled = settle.join_all().await.remove(0);
            let status = test.status(grant.id).await;
            assert_eq!(ended.len() == 1, status == Status::Cancelled, "{ended:?} and {status}");
            assert_eq!(
                settled == domain::SettleResult::Finished,
                status == Status::Finished,
                "{settled:?} and {status}"
            );
        }
    })
    .await;
}
