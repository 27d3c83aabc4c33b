//! Claims by id: a task is granted to one claim, and a repeated claim gets the same grant (G3, G5).

use std::collections::HashSet;

use domain::{ClaimId, Status, SubjectId, TaskId, Timestamp, WorkerProcess};
use store::{ClaimById, Granted};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::kit::table_dump::dump_tables;
use crate::kit::{ANN, MILLI, SECOND, SUBJECT, claim_by, each_database, millis, process, result, worker};

/// G3, G7: the deadline is the instant of the claim plus the task's TTL.
#[tokio::test]
async fn a_claim_starts_the_task() {
    each_database(|test| async move {
        let id = test.created().await;
        test.advance(SECOND).await;
        let grant = test.claim(id, "w1").await.unwrap();
        assert_eq!((grant.id, grant.attempt, grant.remaining_ms), (id, 1, 5000));
        let task = test.task(id).await;
        assert_eq!((task.status, task.attempts), (Status::Running, 1));
        assert_eq!(task.start_date, Some(Timestamp(test.now())));
        assert_eq!(task.deadline, Some(Timestamp(test.now() + 5 * SECOND)));
        assert_eq!(task.worker_name, Some(worker("w1")));
    })
    .await;
}

/// G5: concurrently, from two Backends and many connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_racing_claims_have_one_winner() {
    each_database(|test| async move {
        let id = test.created().await;
        let mut race = JoinSet::new();
        for racer in 0..100 {
            let store = if racer % 2 == 0 { test.store.clone() } else { test.another() };
            race.spawn(
                async move { store.claim_by_id(&[claim_by(id, &format!("w{racer}"))]).await.unwrap() },
            );
        }
        let winners: Vec<Granted> = race.join_all().await.into_iter().flatten().collect();
        let [winner] = &*winners else { panic!("{winners:?}") };
        assert_eq!(winner.grant.attempt, 1);
        assert_eq!(test.task(id).await.worker_name.as_ref(), Some(&winner.worker));
    })
    .await;
}

/// G5: batches that overlap do not deadlock, and each task is granted to one of them.
#[tokio::test(flavor = "multi_thread")]
async fn racing_batches_share_the_tasks() {
    each_database(|test| async move {
        let tasks = test.many(200).await;
        let mut race = JoinSet::new();
        for racer in 0..8_usize {
            let (store, mut tasks) = (test.another(), tasks.clone());
            tasks.rotate_left(racer * 25);
            race.spawn(async move {
                let name = format!("w{racer}");
                let claims: Vec<ClaimById> = tasks.into_iter().map(|id| claim_by(id, &name)).collect();
                store.claim_by_id(&claims).await.unwrap()
            });
        }
        let granted: Vec<TaskId> = race.join_all().await.into_iter().flatten().map(|g| g.grant.id).collect();
        assert_eq!(granted.len(), 200);
        assert_eq!(granted.into_iter().collect::<HashSet<_>>(), tasks.into_iter().collect());
    })
    .await;
}

/// G5: the answer was lost; the same claim again gets the same grant, with the time that is left.
#[tokio::test]
async fn the_same_claim_repeated_gets_the_same_grant() {
    each_database(|test| async move {
        let claim = claim_by(test.created().await, "w1");
        let first = test.claim_with(claim.clone()).await.unwrap();
        let before = dump_tables(&test.db).await;
        test.advance(1200 * MILLI + 1).await;
        let again = test.claim_with(claim.clone()).await.unwrap();
        assert_eq!(again, domain::Grant { remaining_ms: 3799, ..first });
        assert_eq!(dump_tables(&test.db).await, before, "the clock of the grant was not wound up again");

        test.advance(3800 * MILLI - 1).await;
        assert_eq!(test.claim_with(claim.clone()).await.unwrap().remaining_ms, 0, "the last microsecond");
        test.advance(1).await;
        assert_eq!(test.claim_with(claim).await, None, "nothing is left");
    })
    .await;
}

/// G5: a repeat that runs concurrently with the first request is granted the task too.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_claim_racing_itself_is_granted_to_both() {
    each_database(|test| async move {
        for _ in 0..30 {
            let claim = claim_by(test.created().await, "w1");
            let mut race = JoinSet::new();
            for _ in 0..4 {
                let (store, claim) = (test.another(), claim.clone());
                race.spawn(async move { store.claim_by_id(&[claim]).await.unwrap() });
            }
            for granted in race.join_all().await {
                let [granted] = &*granted else { panic!("{granted:?}") };
                assert_eq!((granted.grant.attempt, granted.grant.claim), (1, claim.claim));
            }
        }
    })
    .await;
}

/// G5: another claim, or another worker under the same claim, is granted nothing.
#[tokio::test]
async fn another_claim_gets_nothing() {
    each_database(|test| async move {
        let mine = claim_by(test.created().await, "w1");
        test.claim_with(mine.clone()).await.unwrap();
        assert_eq!(test.claim_with(claim_by(mine.id, "w2")).await, None);
        assert_eq!(test.claim_with(claim_by(mine.id, "w1")).await, None, "the same worker under a new claim");
        assert_eq!(test.claim_with(ClaimById { worker: process("w2"), ..mine.clone() }).await, None);
        let subject = SubjectId(Uuid::nil());
        for by_name in [false, true] {
            let other = WorkerProcess { subject, ..mine.worker.clone() };
            let other = ClaimById { worker: other, by_name, ..mine.clone() };
            assert_eq!(test.claim_with(other).await, None, "another account that uses the same name");
        }
        assert_eq!(test.claim_with(claim_by(test.store.new_task_id(), "w1")).await, None, "no such task");
    })
    .await;
}

/// G5: claims by PATCH are identified by the worker's name alone.
#[tokio::test]
async fn a_claim_by_name_repeats_whatever_its_claim() {
    each_database(|test| async move {
        let id = test.created().await;
        let by_name = |name| ClaimById { by_name: true, ..claim_by(id, name) };
        let first = test.claim_with(by_name("w1")).await.unwrap();
        test.advance(SECOND).await;
        let again = test.claim_with(by_name("w1")).await.unwrap();
        assert_eq!(again, domain::Grant { remaining_ms: 4000, ..first }, "with the first request's claim");
        assert_eq!(test.claim_with(by_name("w2")).await, None);
    })
    .await;
}

/// G3, G10: a task may be claimed at the very end of `startWithin`, and not a microsecond later.
#[tokio::test]
async fn a_task_not_started_in_time_is_not_started_at_all() {
    each_database(|test| async move {
        let hasty = || domain::Submission { start_within: millis(10), ..test.submission() };
        let (first, second) = (hasty(), hasty());
        test.store.submit(&[first.clone(), second.clone()]).await.unwrap();
        test.advance(10 * MILLI).await;
        assert!(test.claim(first.id, "w1").await.is_some(), "exactly at the end");
        test.advance(1).await;
        assert_eq!(test.claim(second.id, "w1").await, None, "a microsecond later");
        assert_eq!(test.status(second.id).await, Status::Created, "the sweep has not run yet");
    })
    .await;
}

/// G4: an ended task is never granted again.
#[tokio::test]
async fn an_ended_task_cannot_be_claimed() {
    each_database(|test| async move {
        let finished = test.running().await;
        test.report(&finished, result("1")).await;
        let cancelled = test.created().await;
        test.store.cancel(ANN, &[cancelled]).await.unwrap();
        let before = dump_tables(&test.db).await;
        assert_eq!(test.claim(finished.id, "w1").await, None);
        assert_eq!(test.claim(cancelled, "w1").await, None);
        assert_eq!(dump_tables(&test.db).await, before);
    })
    .await;
}

/// A batch may be granted in part.
#[tokio::test]
async fn a_batch_is_granted_task_by_task() {
    each_database(|test| async move {
        let tasks = test.many(3).await;
        test.claim(tasks[1], "w1").await.unwrap();
        let claim = ClaimId::random();
        let claims: Vec<ClaimById> =
            tasks.iter().rev().map(|&id| ClaimById { claim, ..claim_by(id, "w2") }).collect();
        let granted = test.store.claim_by_id(&claims).await.unwrap();
        let granted: HashSet<TaskId> = granted.into_iter().map(|granted| granted.grant.id).collect();
        assert_eq!(granted, HashSet::from([tasks[0], tasks[2]]));
        assert_eq!(test.store.grants_under_claim(&worker("w2"), SUBJECT, claim).await.unwrap().len(), 2);
        assert!(test.store.claim_by_id(&[]).await.unwrap().is_empty());
    })
    .await;
}
