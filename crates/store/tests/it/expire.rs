//! The sweep: what its time has passed ends, by whichever Backend comes by first (G7, G8, G10).

use std::collections::HashSet;

use domain::{Reason, Status, Submission, TaskId, Timestamp};
use store::EndedTask;
use tokio::task::JoinSet;

use crate::kit::{MILLI, SECOND, each_database, millis};

/// G8: exactly at the deadline a result still counts, so the sweep leaves it; a microsecond later it ends.
#[tokio::test]
async fn a_running_task_ends_after_its_deadline() {
    each_database(|bench| async move {
        let grant = bench.running().await;
        bench.advance(5 * SECOND).await;
        assert_eq!(bench.store.expire().await.unwrap(), []);
        bench.advance(1).await;
        let now = Timestamp(bench.now());
        let ended =
            EndedTask { id: grant.id, attempt: 1, reason: Some(Reason::TtlExpired), ended: now, late: 1 };
        assert_eq!(bench.store.expire().await.unwrap(), [ended]);
        let task = bench.task(grant.id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::TtlExpired)));
        assert_eq!((task.end_date, task.start_date), (Some(now), Some(now.plus_micros(-5 * SECOND - 1))));
        assert_eq!(bench.store.expire().await.unwrap(), [], "once");
    })
    .await;
}

/// G10: nobody claimed it; the end of `startWithin` is inside it.
#[tokio::test]
async fn a_task_that_nobody_started_ends() {
    each_database(|bench| async move {
        let id = bench.created().await;
        bench.advance(60 * SECOND).await;
        assert_eq!(bench.store.expire().await.unwrap(), []);
        bench.advance(7).await;
        let now = Timestamp(bench.now());
        let ended = EndedTask { id, attempt: 0, reason: Some(Reason::NotStarted), ended: now, late: 7 };
        assert_eq!(bench.store.expire().await.unwrap(), [ended]);
        let task = bench.task(id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::NotStarted)));
        assert_eq!((task.start_date, task.worker_name, task.attempt), (None, None, 0));
    })
    .await;
}

/// G8: a sweep takes so many at once, the longest overdue first; a full answer says that there may be more.
#[tokio::test]
async fn a_sweep_takes_the_longest_overdue_first() {
    each_database(|bench| async move {
        let mut tasks = Vec::new();
        for after in 1..=600 {
            tasks.push(Submission { start_within: millis(after), ..bench.submission() });
        }
        bench.store.submit(&tasks).await.unwrap();
        bench.advance(SECOND).await;
        let ids =
            |ended: Vec<EndedTask>| ended.into_iter().map(|ended| ended.id).collect::<HashSet<TaskId>>();
        let expected = |tasks: &[Submission]| tasks.iter().map(|task| task.id).collect::<HashSet<TaskId>>();
        assert_eq!(ids(bench.store.expire().await.unwrap()), expected(&tasks[..500]));
        assert_eq!(ids(bench.store.expire().await.unwrap()), expected(&tasks[500..]));
        assert_eq!(bench.store.expire().await.unwrap(), []);
    })
    .await;
}

/// G4, G8: sweeps of several Backends at once end each task once.
#[tokio::test(flavor = "multi_thread")]
async fn racing_sweeps_end_each_task_once() {
    each_database(|bench| async move {
        let mut tasks = Vec::new();
        for _ in 0..300 {
            tasks.push(Submission { start_within: millis(1), ..bench.submission() });
        }
        bench.store.submit(&tasks).await.unwrap();
        bench.advance(SECOND).await;
        let mut race = JoinSet::new();
        for _ in 0..8 {
            let store = bench.another();
            race.spawn(async move { store.expire().await.unwrap() });
        }
        let ended: Vec<TaskId> = race.join_all().await.into_iter().flatten().map(|ended| ended.id).collect();
        assert_eq!(ended.len(), 300);
        assert_eq!(ended.into_iter().collect::<HashSet<_>>().len(), 300);
    })
    .await;
}

/// G8: the floor below which a sweep does not look hides no deadline that comes later.
#[tokio::test]
async fn an_idle_sweep_hides_no_deadline() {
    each_database(|bench| async move {
        for round in 0..3 {
            assert_eq!(bench.store.expire().await.unwrap(), []);
            let task = Submission { ttl: millis(1), ..bench.submission() };
            bench.store.submit(std::slice::from_ref(&task)).await.unwrap();
            bench.claim(task.id, "w1").await.unwrap();
            bench.advance(MILLI).await;
            assert_eq!(bench.store.expire().await.unwrap(), []);
            bench.advance(1).await;
            assert_eq!(bench.store.expire().await.unwrap().len(), 1, "round {round}");
            bench.advance(10 * SECOND).await;
        }
    })
    .await;
}
