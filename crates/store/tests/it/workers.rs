//! Heartbeats: who lives, what must stop, and what ends with a worker that has fallen silent (G8, G10, G12).

use std::time::Duration;

use database::Db;
use domain::{GrantRef, Heartbeat, LiveWorker, Reason, ReportOutcome, SettleResult, Status, Timestamp};
use sqlx::Executor;
use store::EndedTask;

use crate::kit::{ANN, Bench, MILLI, SECOND, each_database, kind, report, result, worker};

const SILENCE: Duration = Duration::from_secs(10);

fn beat(name: &str, running: Vec<GrantRef>) -> Heartbeat {
    Heartbeat {
        worker: worker(name),
        slots: 8,
        types: vec![kind("demo.echo"), kind("demo.sleep")],
        running,
        first: false,
    }
}

async fn lose(bench: &Bench) -> Vec<EndedTask> {
    bench.store.end_tasks_of_silent_workers(SILENCE).await.unwrap()
}

/// A worker is as its last heartbeat shows it.
#[tokio::test]
async fn a_worker_is_what_it_last_said() {
    each_database(|bench| async move {
        bench.store.heartbeat(&beat("w2", vec![])).await.unwrap();
        bench.store.heartbeat(&beat("w1", vec![])).await.unwrap();
        bench.advance(SECOND).await;
        let changed = Heartbeat { slots: u32::MAX, types: vec![], ..beat("w2", vec![]) };
        bench.store.heartbeat(&changed).await.unwrap();
        let workers = bench.store.workers().await.unwrap();
        let names: Vec<&str> = workers.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["w1", "w2"]);
        let LiveWorker { slots, types, seen_date: seen, .. } = &workers[0];
        assert_eq!((*slots, types.len(), *seen), (8, 2, Timestamp(bench.now() - SECOND)));
        let LiveWorker { types, seen_date: seen, .. } = &workers[1];
        assert_eq!((types.len(), *seen), (0, Timestamp(bench.now())));
    })
    .await;
}

/// G12: the answer names what the worker runs and does not hold any more, whatever took it.
#[tokio::test]
async fn a_heartbeat_hears_what_must_stop() {
    each_database(|bench| async move {
        let mut grants = Vec::new();
        for _ in 0..5 {
            grants.push(bench.running().await);
        }
        let held: Vec<GrantRef> = grants.iter().map(|g| GrantRef { id: g.id, attempt: g.attempt }).collect();
        assert_eq!(bench.store.heartbeat(&beat("w1", held.clone())).await.unwrap(), []);

        bench.store.cancel(ANN, &[grants[1].id]).await.unwrap();
        bench.report(&grants[2], result("1")).await;
        bench.report(&grants[3], ReportOutcome::Released).await;
        bench.report(&grants[4], ReportOutcome::Released).await;
        bench.claim(grants[4].id, "w1").await.unwrap();
        let mut stop = bench.store.heartbeat(&beat("w1", held.clone())).await.unwrap();
        stop.sort_unstable_by_key(|held| held.id);
        assert_eq!(stop, held[1..], "cancelled, ended, handed back, granted anew");

        let unknown = GrantRef { id: bench.store.new_task_id(), attempt: 1 };
        assert_eq!(bench.store.heartbeat(&beat("w1", vec![unknown])).await.unwrap(), [unknown]);
        let theirs = bench.store.heartbeat(&beat("w2", vec![held[0]])).await.unwrap();
        assert_eq!(theirs, [held[0]], "another's");
    })
    .await;
}

/// G10: what a silent worker held ends; the last instant of the silence is still life.
#[tokio::test]
async fn what_a_silent_worker_held_ends() {
    each_database(|bench| async move {
        bench.store.heartbeat(&beat("w1", vec![])).await.unwrap();
        bench.store.heartbeat(&beat("w2", vec![])).await.unwrap();
        let mut mine = Vec::new();
        for name in ["w1", "w1", "w2", "nobody"] {
            let long = domain::Submission { ttl: crate::kit::millis(3_600_000), ..bench.submission() };
            bench.store.submit(std::slice::from_ref(&long)).await.unwrap();
            mine.push(bench.claim(long.id, name).await.unwrap());
        }
        let waiting = bench.created().await;
        bench.advance(10 * SECOND).await;
        assert_eq!(lose(&bench).await, []);
        bench.store.heartbeat(&beat("w2", vec![])).await.unwrap();
        bench.advance(1).await;
        let mut lost = lose(&bench).await;
        lost.sort_unstable_by_key(|ended| ended.id);
        let ids: Vec<_> = lost.iter().map(|ended| (ended.id, ended.attempt, ended.reason)).collect();
        let expected = [(mine[0].id, 1, Some(Reason::WorkerLost)), (mine[1].id, 1, Some(Reason::WorkerLost))];
        assert_eq!(ids, expected);
        assert!(lost.iter().all(|ended| ended.ended == Timestamp(bench.now()) && ended.late < 0));

        let task = bench.task(mine[0].id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::WorkerLost)));
        assert_eq!(bench.status(mine[2].id).await, Status::Running, "its worker lives");
        assert_eq!(bench.status(waiting).await, Status::Created);
        assert_eq!(bench.store.workers().await.unwrap().len(), 2, "silent, and not forgotten yet");
        assert_eq!(lose(&bench).await, [], "once");
        let said = bench.store.settle(&[report(&mine[0], result("1"))]).await.unwrap();
        assert_eq!(said, [SettleResult::Cancelled { reason: Reason::WorkerLost }]);
    })
    .await;
}

/// G10: who has never sent a heartbeat cannot be missed: its claims end by their deadline alone.
#[tokio::test]
async fn a_claim_without_heartbeats_ends_by_its_deadline() {
    each_database(|bench| async move {
        let grant = bench.running().await;
        bench.advance(5 * SECOND).await;
        assert_eq!(lose(&bench).await, []);
        assert_eq!(bench.status(grant.id).await, Status::Running);
        bench.advance(60 * SECOND).await;
        assert_eq!(lose(&bench).await, []);
        assert_eq!(bench.store.expire().await.unwrap().len(), 1);
    })
    .await;
}

/// G10: an ask of a worker that died may still be open, and is granted work after the worker was found silent.
#[tokio::test]
async fn what_a_lost_worker_is_granted_ends_too() {
    each_database(|bench| async move {
        bench.store.heartbeat(&beat("w1", vec![])).await.unwrap();
        bench.advance(11 * SECOND).await;
        assert_eq!(lose(&bench).await, []);
        let grant = bench.running().await;
        let [ended] = &*lose(&bench).await else { panic!("one task") };
        assert_eq!((ended.id, ended.reason), (grant.id, Some(Reason::WorkerLost)));
    })
    .await;
}

/// G10: a row that somebody else is just moving is passed over, and found by the next round if it did not move.
#[tokio::test]
async fn what_was_passed_over_ends_in_the_next_round() {
    let bench = Bench::postgres().await;
    let Db::Postgres(pools) = &bench.db else { panic!("{:?}", bench.db) };
    bench.store.heartbeat(&beat("w1", vec![])).await.unwrap();
    bench.advance(11 * SECOND).await;
    let grant = bench.running().await;
    let mut mover = pools.write.begin().await.unwrap();
    mover.execute("select * from live for update").await.unwrap();
    assert_eq!(lose(&bench).await, []);
    mover.rollback().await.unwrap();
    let [ended] = &*lose(&bench).await else { panic!("one task") };
    assert_eq!(ended.id, grant.id);
    bench.finish().await;
}

/// A silent worker is forgotten a minute after it was lost.
#[tokio::test]
async fn a_worker_is_forgotten_long_after_it_was_lost() {
    each_database(|bench| async move {
        bench.store.heartbeat(&beat("w1", vec![])).await.unwrap();
        bench.advance(70 * SECOND).await;
        lose(&bench).await;
        assert_eq!(bench.store.workers().await.unwrap().len(), 1);
        bench.advance(1).await;
        let grant = bench.running().await;
        assert_eq!(lose(&bench).await.len(), 1, "found by the row that goes after it");
        assert_eq!(bench.store.workers().await.unwrap(), []);
        assert_eq!(bench.status(grant.id).await, Status::Cancelled);
    })
    .await;
}

/// A worker that comes back after it was lost or forgotten is a worker again.
#[tokio::test]
async fn a_lost_worker_may_come_back() {
    each_database(|bench| async move {
        for silent in [11, 71] {
            bench.store.heartbeat(&beat("w1", vec![])).await.unwrap();
            bench.advance(silent * SECOND).await;
            lose(&bench).await;
            bench.store.heartbeat(&beat("w1", vec![])).await.unwrap();
            let grant = bench.running().await;
            bench.advance(MILLI).await;
            assert_eq!(lose(&bench).await, []);
            assert_eq!(bench.status(grant.id).await, Status::Running);
        }
    })
    .await;
}

/// G10: a worker that starts under a name ends what the last one of that name held, heard or not.
#[tokio::test]
async fn a_predecessors_tasks_end_at_once() {
    each_database(|bench| async move {
        let (mine, waiting) = (bench.running().await, bench.created().await);
        let theirs = bench.created().await;
        bench.claim(theirs, "w2").await.unwrap();
        bench.advance(SECOND).await;
        let now = Timestamp(bench.now());
        let reason = Some(Reason::WorkerLost);
        let ended = EndedTask { id: mine.id, attempt: 1, reason, ended: now, late: -4 * SECOND };
        assert_eq!(bench.store.end_tasks_of_worker(&worker("w1")).await.unwrap(), [ended]);
        assert_eq!(bench.status(waiting).await, Status::Created);
        assert_eq!(bench.status(theirs).await, Status::Running, "another's");
        assert_eq!(bench.store.end_tasks_of_worker(&worker("w1")).await.unwrap(), [], "once");
        let said = bench.report(&mine, result("1")).await;
        assert_eq!(said, SettleResult::Cancelled { reason: Reason::WorkerLost });
    })
    .await;
}
