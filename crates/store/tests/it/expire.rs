//! Expiry: overdue tasks are ended once, by whichever Backend sweeps first (G7, G8, G10).

use std::collections::HashSet;

use domain::{Reason, Status, Submission, TaskId, Timestamp};
use store::EndedTask;
use tokio::task::JoinSet;

use crate::kit::{MILLI, SECOND, each_database, grant_worker, millis};

/// G8: at the deadline a result still counts, so the task is not ended; a microsecond later it is.
#[tokio::test]
async fn a_running_task_ends_after_its_deadline() {
    each_database(|test| async move {
        let grant = test.running().await;
        test.advance(5 * SECOND).await;
        assert_eq!(test.store.expire().await.unwrap().ended, []);
        test.advance(1).await;
        let now = Timestamp(test.now());
        let (reason, grant_worker) = (Some(Reason::TtlExpired), Some(grant_worker("w1")));
        let ended = EndedTask { id: grant.id, attempt: 1, reason, ended: now, late_us: 1, grant_worker };
        assert_eq!(test.store.expire().await.unwrap().ended, [ended]);
        let task = test.task(grant.id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::TtlExpired)));
        assert_eq!((task.end_date, task.start_date), (Some(now), Some(now.plus_micros(-5 * SECOND - 1))));
        assert_eq!(test.store.expire().await.unwrap().ended, [], "once");
    })
    .await;
}

/// G10: a task that nobody claimed ends a microsecond after its `startWithin`.
#[tokio::test]
async fn a_task_that_was_not_claimed_in_time_ends() {
    each_database(|test| async move {
        let id = test.created().await;
        test.advance(60 * SECOND).await;
        assert_eq!(test.store.expire().await.unwrap().ended, []);
        test.advance(7).await;
        let now = Timestamp(test.now());
        let reason = Some(Reason::NotStarted);
        let ended = EndedTask { id, attempt: 0, reason, ended: now, late_us: 7, grant_worker: None };
        assert_eq!(test.store.expire().await.unwrap().ended, [ended]);
        let task = test.task(id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::NotStarted)));
        assert_eq!((task.start_date, task.worker_name, task.attempts), (None, None, 0));
    })
    .await;
}

/// G8: one call ends at most 500 tasks, the longest overdue first.
#[tokio::test]
async fn the_longest_overdue_tasks_are_ended_first() {
    each_database(|test| async move {
        let mut tasks = Vec::new();
        for after in 1..=600 {
            tasks.push(Submission { start_within: millis(after), ..test.submission() });
        }
        test.store.submit(&tasks).await.unwrap();
        test.advance(SECOND).await;
        let ids =
            |ended: Vec<EndedTask>| ended.into_iter().map(|ended| ended.id).collect::<HashSet<TaskId>>();
        let expected = |tasks: &[Submission]| tasks.iter().map(|task| task.id).collect::<HashSet<TaskId>>();
        assert_eq!(ids(test.store.expire().await.unwrap().ended), expected(&tasks[..500]));
        assert_eq!(ids(test.store.expire().await.unwrap().ended), expected(&tasks[500..]));
        assert_eq!(test.store.expire().await.unwrap().ended, []);
    })
    .await;
}

/// G4, G8: concurrent sweeps of several Backends end each task once.
#[tokio::test(flavor = "multi_thread")]
async fn racing_sweeps_end_each_task_once() {
    each_database(|test| async move {
        let mut tasks = Vec::new();
        for _ in 0..300 {
            tasks.push(Submission { start_within: millis(1), ..test.submission() });
        }
        test.store.submit(&tasks).await.unwrap();
        test.advance(SECOND).await;
        let mut race = JoinSet::new();
        for _ in 0..8 {
            let store = test.another();
            race.spawn(async move { store.expire().await.unwrap().ended });
        }
        let ended: Vec<TaskId> = race.join_all().await.into_iter().flatten().map(|ended| ended.id).collect();
        assert_eq!(ended.len(), 300);
        assert_eq!(ended.into_iter().collect::<HashSet<_>>().len(), 300);
    })
    .await;
}

/// G8: a sweep that found nothing raises no floor above a later deadline.
#[tokio::test]
async fn an_idle_sweep_hides_no_deadline() {
    each_database(|test| async move {
        for round in 0..3 {
            assert_eq!(test.store.expire().await.unwrap().ended, []);
            let task = Submission { ttl: millis(1), ..test.submission() };
            test.store.submit(std::slice::from_ref(&task)).await.unwrap();
            test.claim(task.id, "w1").await.unwrap();
            test.advance(MILLI).await;
            assert_eq!(test.store.expire().await.unwrap().ended, []);
            test.advance(1).await;
            assert_eq!(test.store.expire().await.unwrap().ended.len(), 1, "round {round}");
            test.advance(10 * SECOND).await;
        }
    })
    .await;
}
