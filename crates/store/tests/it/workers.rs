//! Heartbeats: the list of workers, the tasks that a worker must stop, and the tasks of lost workers (G8, G10, G12).

use std::collections::BTreeSet;
use std::time::Duration;

use database::Db;
use domain::{
    AttemptOutcome, GrantRef, InstanceId, LiveWorker, Reason, SettleResult, Status, StopMeansKind, SubjectId,
    Timestamp, WorkerProcess,
};
use sqlx::Executor;
use store::{ClaimById, EndedTask, NameOwner};
use uuid::Uuid;

use crate::kit::{
    ANN, MILLI, SECOND, TestStore, claim_by, each_database, grant_worker, kind, process, report, result,
};

const SILENCE: Duration = Duration::from_secs(10);

/// Sends a heartbeat of the one process of a worker. Returns what the process must stop.
async fn heartbeat(test: &TestStore, name: &str, running: &[GrantRef]) -> Vec<GrantRef> {
    let (process, types) = (process(name), [kind("demo.echo"), kind("demo.sleep")]);
    assert!(
        test.store.heartbeat(&process, 8, &types, &BTreeSet::new()).await.unwrap(),
        "{name} has its name"
    );
    test.store.grants_to_stop(&process, running).await.unwrap()
}

async fn end_silent(test: &TestStore) -> Vec<EndedTask> {
    test.store.end_tasks_of_silent_workers(SILENCE).await.unwrap().ended
}

/// A worker's row is that of its last heartbeat.
#[tokio::test]
async fn a_worker_is_listed_as_in_its_last_heartbeat() {
    each_database(|test| async move {
        heartbeat(&test, "w2", &[]).await;
        heartbeat(&test, "w1", &[]).await;
        test.advance(SECOND).await;
        let means = BTreeSet::from([StopMeansKind::Subreaper, StopMeansKind::Cgroup]);
        assert!(test.store.heartbeat(&process("w2"), u32::MAX, &[], &means).await.unwrap());
        let workers = test.store.workers().await.unwrap();
        let names: Vec<&str> = workers.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["w1", "w2"]);
        let LiveWorker { slots, types, seen_date: seen, .. } = &workers[0];
        assert_eq!((*slots, types.len(), *seen), (8, 2, Timestamp(test.now() - SECOND)));
        let LiveWorker { types, stop_means, seen_date: seen, .. } = &workers[1];
        assert_eq!((types.len(), stop_means, *seen), (0, &means, Timestamp(test.now())));
    })
    .await;
}

/// A row that cannot be read is named by its key, which is the worker's name.
#[tokio::test]
async fn a_corrupt_worker_is_named_in_the_error() {
    each_database(|test| async move {
        heartbeat(&test, "w1", &[]).await;
        test.execute("update worker set types = 'no JSON'").await.unwrap();
        let error = test.store.workers().await.unwrap_err();
        assert!(error.is_permanent_row_error());
        assert!(error.to_string().starts_with("row w1 of worker has an invalid value: "), "{error}");
    })
    .await;
}

/// G12: the answer has the grants that the worker runs and that are no longer granted to it, for whatever reason.
#[tokio::test]
async fn a_heartbeat_is_answered_with_what_must_stop() {
    each_database(|test| async move {
        let mut grants = Vec::new();
        for _ in 0..5 {
            grants.push(test.running().await);
        }
        let running: Vec<GrantRef> =
            grants.iter().map(|g| GrantRef { id: g.id, attempt: g.attempt }).collect();
        assert_eq!(heartbeat(&test, "w1", &running).await, []);

        test.store.cancel(ANN, &[grants[1].id]).await.unwrap();
        test.report(&grants[2], result("1")).await;
        test.report(&grants[3], AttemptOutcome::Released).await;
        test.report(&grants[4], AttemptOutcome::Released).await;
        test.claim(grants[4].id, "w1").await.unwrap();
        let mut stop = heartbeat(&test, "w1", &running).await;
        stop.sort_unstable_by_key(|running| running.id);
        assert_eq!(stop, running[1..], "cancelled, ended, released, granted again");

        let unknown = GrantRef { id: test.store.new_task_id(), attempt: 1 };
        assert_eq!(heartbeat(&test, "w1", &[unknown]).await, [unknown]);
        let theirs = heartbeat(&test, "w2", &running[..1]).await;
        assert_eq!(theirs, [running[0]], "granted to another worker");
    })
    .await;
}

/// G10: the tasks of a worker end once its silence is longer than the limit, not at the limit.
#[tokio::test]
async fn the_tasks_of_a_silent_worker_end() {
    each_database(|test| async move {
        heartbeat(&test, "w1", &[]).await;
        heartbeat(&test, "w2", &[]).await;
        let mut mine = Vec::new();
        for name in ["w1", "w1", "w2", "nobody"] {
            let long = domain::Submission { ttl: crate::kit::millis(3_600_000), ..test.submission() };
            test.store.submit(std::slice::from_ref(&long)).await.unwrap();
            mine.push(test.claim(long.id, name).await.unwrap());
        }
        let waiting = test.created().await;
        test.advance(10 * SECOND).await;
        assert_eq!(end_silent(&test).await, []);
        heartbeat(&test, "w2", &[]).await;
        test.advance(1).await;
        let mut lost = end_silent(&test).await;
        lost.sort_unstable_by_key(|ended| ended.id);
        let ids: Vec<_> = lost.iter().map(|ended| (ended.id, ended.attempt, ended.reason)).collect();
        let expected = [(mine[0].id, 1, Some(Reason::WorkerLost)), (mine[1].id, 1, Some(Reason::WorkerLost))];
        assert_eq!(ids, expected);
        assert!(lost.iter().all(|ended| ended.ended == Timestamp(test.now()) && ended.late_us < 0));

        let task = test.task(mine[0].id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::WorkerLost)));
        assert_eq!(test.status(mine[2].id).await, Status::Running, "its worker sends heartbeats");
        assert_eq!(test.status(waiting).await, Status::Created);
        assert_eq!(test.store.workers().await.unwrap().len(), 1, "the silent worker is not listed");
        assert_eq!(end_silent(&test).await, [], "once");
        let results = test.settle(&[report(&mine[0], result("1"))]).await;
        assert_eq!(results, [SettleResult::Cancelled { reason: Reason::WorkerLost }]);
    })
    .await;
}

/// G10: tasks of a worker that has never sent a heartbeat end by their deadline alone.
#[tokio::test]
async fn a_claim_without_heartbeats_ends_by_its_deadline() {
    each_database(|test| async move {
        let grant = test.running().await;
        test.advance(5 * SECOND).await;
        assert_eq!(end_silent(&test).await, []);
        assert_eq!(test.status(grant.id).await, Status::Running);
        test.advance(60 * SECOND).await;
        assert_eq!(end_silent(&test).await, []);
        assert_eq!(test.store.expire().await.unwrap().ended.len(), 1);
    })
    .await;
}

/// G10: a request of a dead worker may still wait, and be granted a task after the worker was found silent.
#[tokio::test]
async fn a_task_granted_to_a_lost_worker_ends_too() {
    each_database(|test| async move {
        heartbeat(&test, "w1", &[]).await;
        test.advance(11 * SECOND).await;
        assert_eq!(end_silent(&test).await, []);
        let grant = test.running().await;
        let [ended] = &*end_silent(&test).await else { panic!("one task") };
        assert_eq!((ended.id, ended.reason), (grant.id, Some(Reason::WorkerLost)));
    })
    .await;
}

/// G10: a row that another transaction has locked is skipped, and ended by the next call if it still runs.
#[tokio::test]
async fn a_skipped_task_ends_in_the_next_call() {
    let test = TestStore::postgres().await;
    let Db::Postgres(pools) = &test.db else { panic!("{:?}", test.db) };
    heartbeat(&test, "w1", &[]).await;
    test.advance(11 * SECOND).await;
    let grant = test.running().await;
    let mut locking = pools.write.begin().await.unwrap();
    locking.execute("select * from unfinished_task for update").await.unwrap();
    assert_eq!(end_silent(&test).await, []);
    locking.rollback().await.unwrap();
    let [ended] = &*end_silent(&test).await else { panic!("one task") };
    assert_eq!(ended.id, grant.id);
    test.finish().await;
}

/// A silent worker's row is deleted a minute after the worker was lost: tasks that are granted to it meanwhile end.
#[tokio::test]
async fn the_row_of_a_lost_worker_is_kept_for_a_minute() {
    each_database(|test| async move {
        heartbeat(&test, "w1", &[]).await;
        test.advance(70 * SECOND).await;
        end_silent(&test).await;
        test.advance(1).await;
        let grant = test.running().await;
        assert_eq!(
            end_silent(&test).await.len(),
            1,
            "the task is found by the row, which is deleted afterwards"
        );
        assert_eq!(test.status(grant.id).await, Status::Cancelled);
        test.running().await;
        assert_eq!(end_silent(&test).await, [], "the row is deleted");
    })
    .await;
}

/// A lost worker that sends heartbeats again keeps its new tasks.
#[tokio::test]
async fn a_lost_worker_may_come_back() {
    each_database(|test| async move {
        for silent in [11, 71] {
            heartbeat(&test, "w1", &[]).await;
            test.advance(silent * SECOND).await;
            end_silent(&test).await;
            heartbeat(&test, "w1", &[]).await;
            let grant = test.running().await;
            test.advance(MILLI).await;
            assert_eq!(end_silent(&test).await, []);
            assert_eq!(test.status(grant.id).await, Status::Running);
        }
    })
    .await;
}

/// G10: a process that has its worker's name ends the tasks of earlier processes, and of nobody else.
#[tokio::test]
async fn tasks_of_an_earlier_process_end_at_once() {
    each_database(|test| async move {
        let (mine, waiting) = (test.running().await, test.created().await);
        let (theirs, foreign) = (test.created().await, test.created().await);
        test.claim(theirs, "w2").await.unwrap();
        let other = WorkerProcess { subject: SubjectId(Uuid::nil()), ..process("w1") };
        test.claim_with(ClaimById { worker: other, ..claim_by(foreign, "w1") }).await.unwrap();
        test.advance(SECOND).await;
        assert_eq!(
            test.store.end_tasks_of_earlier_processes(&process("w1")).await.unwrap().ended,
            [],
            "its own"
        );
        let started = WorkerProcess { instance: InstanceId::random(), ..process("w1") };
        let (now, reason) = (Timestamp(test.now()), Some(Reason::WorkerLost));
        let (late_us, grant_worker) = (-4 * SECOND, Some(grant_worker("w1")));
        let ended = EndedTask { id: mine.id, attempt: 1, reason, ended: now, late_us, grant_worker };
        assert_eq!(test.store.end_tasks_of_earlier_processes(&started).await.unwrap().ended, [ended]);
        assert_eq!(test.status(waiting).await, Status::Created);
        assert_eq!(test.status(theirs).await, Status::Running, "another worker's task");
        assert_eq!(test.status(foreign).await, Status::Running, "another account's task");
        assert_eq!(test.store.end_tasks_of_earlier_processes(&started).await.unwrap().ended, [], "once");
        let answer = test.report(&mine, result("1")).await;
        assert_eq!(answer, SettleResult::Cancelled { reason: Reason::WorkerLost });
    })
    .await;
}

/// A name belongs to one process until that process has freed it or is lost.
#[tokio::test]
async fn a_name_belongs_to_one_process_at_a_time() {
    each_database(|test| async move {
        let first = process("w1");
        let second = WorkerProcess { instance: InstanceId::random(), ..first.clone() };
        let other = WorkerProcess { subject: SubjectId(Uuid::nil()), ..first.clone() };
        let take = async |process: &WorkerProcess| {
            test.store.heartbeat(process, 8, &[], &BTreeSet::new()).await.unwrap()
        };
        let since = Timestamp(test.now());
        assert!(take(&first).await);
        let grant = test.running().await;
        test.advance(SECOND).await;
        assert!(take(&first).await, "it keeps its name");
        assert!(!take(&second).await && !take(&other).await);
        let owner = NameOwner { process: first.clone(), since };
        assert_eq!(test.store.name_owner(&first.name).await.unwrap(), Some(owner));
        for another in [&second, &other] {
            test.store.unregister(another).await.unwrap();
        }
        test.store.unregister(&first).await.unwrap();
        assert!(!take(&second).await, "a task still runs under it");
        test.report(&grant, result("1")).await;
        test.store.unregister(&first).await.unwrap();
        assert!(take(&other).await, "it is free");

        test.store.unregister(&other).await.unwrap();
        assert!(take(&first).await);
        let lost = test.running().await;
        test.advance(11 * SECOND).await;
        assert!(!take(&second).await, "no Backend has declared the first one lost");
        assert_eq!(end_silent(&test).await.len(), 1);
        assert_eq!(test.status(lost.id).await, Status::Cancelled);
        assert!(take(&second).await);
        assert!(!take(&first).await, "it was lost");
    })
    .await;
}

/// A lost worker's name goes to another account only when the lost worker's tasks have ended.
#[tokio::test]
async fn a_name_changes_its_owner_when_nothing_of_the_former_owner_runs() {
    each_database(|test| async move {
        heartbeat(&test, "w1", &[]).await;
        test.advance(11 * SECOND).await;
        end_silent(&test).await;
        test.running().await;
        let other = WorkerProcess { subject: SubjectId(Uuid::nil()), ..process("w1") };
        assert!(!test.store.heartbeat(&other, 8, &[], &BTreeSet::new()).await.unwrap());
        assert_eq!(end_silent(&test).await.len(), 1);
        assert!(test.store.heartbeat(&other, 8, &[], &BTreeSet::new()).await.unwrap());
    })
    .await;
}
