//! Claims by id: one winner, and the same answer to whoever asks again (G3, G5).

use std::collections::HashSet;

use domain::{ClaimId, Status, TaskId, Timestamp};
use store::{ClaimById, Granted};
use tokio::task::JoinSet;

use crate::kit::table_dump::books;
use crate::kit::{ANN, MILLI, SECOND, ask, each_database, millis, result, worker};

/// G3, G7: the deadline is the claim's instant and the task's life.
#[tokio::test]
async fn a_claim_starts_the_task() {
    each_database(|bench| async move {
        let id = bench.created().await;
        bench.advance(SECOND).await;
        let grant = bench.claim(id, "w1").await.unwrap();
        assert_eq!((grant.id, grant.attempt, grant.remaining_ms), (id, 1, 5000));
        let task = bench.task(id).await;
        assert_eq!((task.status, task.attempt), (Status::Running, 1));
        assert_eq!(task.start_date, Some(Timestamp(bench.now())));
        assert_eq!(task.deadline, Some(Timestamp(bench.now() + 5 * SECOND)));
        assert_eq!(task.worker_name, Some(worker("w1")));
    })
    .await;
}

/// G5: really at once, from two Backends and many connections.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_racing_claims_have_one_winner() {
    each_database(|bench| async move {
        let id = bench.created().await;
        let mut race = JoinSet::new();
        for racer in 0..100 {
            let store = if racer % 2 == 0 { bench.store.clone() } else { bench.another() };
            race.spawn(async move { store.claim_by_id(&[ask(id, &format!("w{racer}"))]).await.unwrap() });
        }
        let winners: Vec<Granted> = race.join_all().await.into_iter().flatten().collect();
        let [winner] = &*winners else { panic!("{winners:?}") };
        assert_eq!(winner.grant.attempt, 1);
        assert_eq!(bench.task(id).await.worker_name.as_ref(), Some(&winner.worker));
    })
    .await;
}

/// G5: crossing batches do not stand in each other's way, and each task goes to one of them.
#[tokio::test(flavor = "multi_thread")]
async fn racing_batches_share_the_tasks() {
    each_database(|bench| async move {
        let tasks = bench.many(200).await;
        let mut race = JoinSet::new();
        for racer in 0..8_usize {
            let (store, mut tasks) = (bench.another(), tasks.clone());
            tasks.rotate_left(racer * 25);
            race.spawn(async move {
                let name = format!("w{racer}");
                let asks: Vec<ClaimById> = tasks.into_iter().map(|id| ask(id, &name)).collect();
                store.claim_by_id(&asks).await.unwrap()
            });
        }
        let granted: Vec<TaskId> = race.join_all().await.into_iter().flatten().map(|g| g.grant.id).collect();
        assert_eq!(granted.len(), 200);
        assert_eq!(granted.into_iter().collect::<HashSet<_>>(), tasks.into_iter().collect());
    })
    .await;
}

/// G5: the answer was lost; asked again with the same claim, it is the same grant with the time that is left.
#[tokio::test]
async fn the_same_claim_repeated_gets_the_same_grant() {
    each_database(|bench| async move {
        let ask = ask(bench.created().await, "w1");
        let first = bench.ask(ask.clone()).await.unwrap();
        let before = books(&bench.db).await;
        bench.advance(1200 * MILLI + 1).await;
        let again = bench.ask(ask.clone()).await.unwrap();
        assert_eq!(again, domain::Grant { remaining_ms: 3799, ..first });
        assert_eq!(books(&bench.db).await, before, "the clock of the grant was not wound up again");

        bench.advance(3800 * MILLI - 1).await;
        assert_eq!(bench.ask(ask.clone()).await.unwrap().remaining_ms, 0, "the last microsecond");
        bench.advance(1).await;
        assert_eq!(bench.ask(ask).await, None, "nothing is left");
    })
    .await;
}

/// G5: a repeat that overtakes its first ask is not told "no".
#[tokio::test(flavor = "multi_thread")]
async fn the_same_claim_racing_itself_is_granted_to_both() {
    each_database(|bench| async move {
        for _ in 0..30 {
            let ask = ask(bench.created().await, "w1");
            let mut race = JoinSet::new();
            for _ in 0..4 {
                let (store, ask) = (bench.another(), ask.clone());
                race.spawn(async move { store.claim_by_id(&[ask]).await.unwrap() });
            }
            for granted in race.join_all().await {
                let [granted] = &*granted else { panic!("{granted:?}") };
                assert_eq!((granted.grant.attempt, granted.grant.claim), (1, ask.claim));
            }
        }
    })
    .await;
}

/// G5: somebody else's claim, or somebody else under the same claim, is told nothing.
#[tokio::test]
async fn another_claim_gets_nothing() {
    each_database(|bench| async move {
        let mine = ask(bench.created().await, "w1");
        bench.ask(mine.clone()).await.unwrap();
        assert_eq!(bench.ask(ask(mine.id, "w2")).await, None);
        assert_eq!(bench.ask(ask(mine.id, "w1")).await, None, "a worker that asks anew");
        assert_eq!(bench.ask(ClaimById { worker: worker("w2"), ..mine }).await, None);
        assert_eq!(bench.ask(ask(bench.store.new_task_id(), "w1")).await, None, "no such task");
    })
    .await;
}

/// G5: claims by PATCH are told apart by the worker's name alone.
#[tokio::test]
async fn a_claim_by_name_repeats_whatever_its_claim() {
    each_database(|bench| async move {
        let id = bench.created().await;
        let by_name = |name| ClaimById { by_name: true, ..ask(id, name) };
        let first = bench.ask(by_name("w1")).await.unwrap();
        bench.advance(SECOND).await;
        let again = bench.ask(by_name("w1")).await.unwrap();
        assert_eq!(again, domain::Grant { remaining_ms: 4000, ..first }, "with the first ask's claim");
        assert_eq!(bench.ask(by_name("w2")).await, None);
    })
    .await;
}

/// G3, G10: both ends of `startWithin` are inside it.
#[tokio::test]
async fn a_task_not_started_in_time_is_not_started_at_all() {
    each_database(|bench| async move {
        let hasty = || domain::Submission { start_within: millis(10), ..bench.submission() };
        let (first, second) = (hasty(), hasty());
        bench.store.submit(&[first.clone(), second.clone()]).await.unwrap();
        bench.advance(10 * MILLI).await;
        assert!(bench.claim(first.id, "w1").await.is_some(), "exactly at the end");
        bench.advance(1).await;
        assert_eq!(bench.claim(second.id, "w1").await, None, "a microsecond later");
        assert_eq!(bench.status(second.id).await, Status::Created, "the sweep has not come by yet");
    })
    .await;
}

/// G4: what has ended is never granted again.
#[tokio::test]
async fn what_has_ended_cannot_be_claimed() {
    each_database(|bench| async move {
        let finished = bench.running().await;
        bench.report(&finished, result("1")).await;
        let cancelled = bench.created().await;
        bench.store.cancel(ANN, &[cancelled]).await.unwrap();
        let before = books(&bench.db).await;
        assert_eq!(bench.claim(finished.id, "w1").await, None);
        assert_eq!(bench.claim(cancelled, "w1").await, None);
        assert_eq!(books(&bench.db).await, before);
    })
    .await;
}

/// A batch is granted in part: each task is answered for itself.
#[tokio::test]
async fn a_batch_is_granted_task_by_task() {
    each_database(|bench| async move {
        let tasks = bench.many(3).await;
        bench.claim(tasks[1], "w1").await.unwrap();
        let claim = ClaimId::random();
        let asks: Vec<ClaimById> =
            tasks.iter().rev().map(|&id| ClaimById { claim, ..ask(id, "w2") }).collect();
        let granted = bench.store.claim_by_id(&asks).await.unwrap();
        let granted: HashSet<TaskId> = granted.into_iter().map(|granted| granted.grant.id).collect();
        assert_eq!(granted, HashSet::from([tasks[0], tasks[2]]));
        assert_eq!(bench.store.grants_under_claim(&worker("w2"), claim).await.unwrap().len(), 2);
        assert!(bench.store.claim_by_id(&[]).await.unwrap().is_empty());
    })
    .await;
}
