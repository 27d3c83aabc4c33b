//! Cancellation by the owner: it tells the truth, and it is nobody else's (G4, G12, G13).

use domain::{Reason, Status, Timestamp};
use tokio::task::JoinSet;

use crate::kit::table_dump::books;
use crate::kit::{ANN, BOB, SECOND, each_database, report, result};

/// G12: from wherever it has not ended.
#[tokio::test]
async fn an_owner_ends_what_has_not_ended() {
    each_database(|bench| async move {
        let created = bench.created().await;
        let running = bench.running().await;
        bench.advance(SECOND).await;
        let mut ended = bench.store.cancel(ANN, &[running.id, created]).await.unwrap();
        ended.sort_unstable_by_key(|ended| ended.id);
        let facts: Vec<_> = ended.iter().map(|e| (e.id, e.attempt, e.reason, e.ended)).collect();
        let now = Timestamp(bench.now());
        let requested = Some(Reason::Requested);
        assert_eq!(facts, [(created, 0, requested, now), (running.id, 1, requested, now)]);
        for (id, started) in [(created, None), (running.id, Some(now.plus_micros(-SECOND)))] {
            let task = bench.task(id).await;
            assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::Requested)));
            assert_eq!((task.end_date, task.start_date), (Some(now), started));
        }
    })
    .await;
}

/// G4: too late means that it has ended otherwise, and stays so.
#[tokio::test]
async fn what_has_ended_stays_as_it_ended() {
    each_database(|bench| async move {
        let finished = bench.running().await;
        bench.report(&finished, result("1")).await;
        let cancelled = bench.created().await;
        bench.store.cancel(ANN, &[cancelled]).await.unwrap();
        let before = books(&bench.db).await;
        bench.advance(SECOND).await;
        let unknown = bench.store.new_task_id();
        assert_eq!(bench.store.cancel(ANN, &[finished.id, cancelled, unknown]).await.unwrap(), []);
        assert_eq!(bench.store.cancel(ANN, &[]).await.unwrap(), []);
        assert_eq!(books(&bench.db).await, before);
    })
    .await;
}

/// G13: another's task is not there to be cancelled.
#[tokio::test]
async fn nobody_else_can_cancel() {
    each_database(|bench| async move {
        let (created, running) = (bench.created().await, bench.running().await);
        let before = books(&bench.db).await;
        assert_eq!(bench.store.cancel(BOB, &[created, running.id]).await.unwrap(), []);
        assert_eq!(books(&bench.db).await, before);
    })
    .await;
}

/// G3, G12: a result and a cancellation race; one of them is the end, and both say which.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_and_a_cancellation_agree_who_won() {
    each_database(|bench| async move {
        for _ in 0..40 {
            let grant = bench.running().await;
            let (first, second) = (bench.store.clone(), bench.another());
            let reports = vec![report(&grant, result("1"))];
            let mut settle = JoinSet::new();
            settle.spawn(async move { first.settle(&reports).await.unwrap()[0] });
            let ended = second.cancel(ANN, &[grant.id]).await.unwrap();
            let settled = settle.join_all().await[0];
            let status = bench.status(grant.id).await;
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
