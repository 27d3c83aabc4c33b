//! Two Backends on one PostgreSQL: who waits at one hears at once of what is committed at the other.
//!
//! No slow check and no periodic check comes while a test runs: what is heard here was told.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use database::{Clock, Db};
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::Store;
use testkit::Scratch;
use uuid::Uuid;

use crate::database_outage::{host, through};
use crate::kit::clients::Person;
use crate::kit::service::WorkerCaller;
use crate::kit::tcp_proxy::Proxy;

/// Two of them.
async fn both(test: impl AsyncFn(&WorkerCaller, &WorkerCaller)) {
    let one = WorkerCaller::up(Scratch::postgres().await, |_| {}).await;
    let other = one.again(|_| {}).await;
    test(&one, &other).await;
    other.stopped().await.0.close().await;
    one.down().await;
}

/// How the task has ended. That it was told of the end, and not that the wait was over, shows by the time: a wait lasts 30 s.
async fn told(person: &Person<'_>, id: &str) -> Value {
    let began = Instant::now();
    let task = person.ended(id).await;
    assert!(began.elapsed() < Duration::from_secs(20), "nobody told of {task}");
    task
}

/// Long after a wait that was sent before has begun.
async fn later(person: &Person<'_>, id: &str) {
    for _ in 0..20 {
        person.task(id).await;
    }
}

/// The same person at the other Backend.
fn also<'a>(person: &Person<'_>, there: &'a WorkerCaller) -> Person<'a> {
    there.bearer(person.token.clone().unwrap())
}

#[tokio::test]
async fn who_waits_for_a_task_hears_at_once_that_it_has_ended_at_another_backend() {
    both(async |one, other| {
        let (ann, rig) = (one.user(), one.worker());
        let waits = also(&ann, other);
        for _ in 0..20 {
            let id = ann.created().await;
            let settle = async {
                let grant = rig.granted(&id, "w").await;
                rig.report(&grant, json!({"result": 1})).await
            };
            assert_eq!(tokio::join!(told(&waits, &id), settle).0["status"], "FINISHED");
        }
        let id = ann.created().await;
        let cancel = ann.cancel(&id).into_future();
        assert_eq!(tokio::join!(told(&waits, &id), cancel).0["reason"], "REQUESTED");
        let id = ann.submit(json!({"type": "ECHO", "ttl": 100})).await.id();
        let claim = rig.granted(&id, "w");
        assert_eq!(tokio::join!(told(&waits, &id), claim).0["reason"], "TTL_EXPIRED");
        let id = ann.created().await;
        rig.granted(&id, "again").await;
        let first = json!({"worker": "again", "slots": 1, "types": [], "running": [], "first": true});
        let first = rig.post("/api/Worker/heartbeat").json(first).into_future();
        assert_eq!(tokio::join!(told(&waits, &id), first).0["reason"], "WORKER_LOST");
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_waits_is_granted_at_once_what_becomes_ready_at_another_backend() {
    both(async |one, other| {
        let (ann, rig) = (one.user(), one.worker());
        let waits = also(&rig, other);
        for _ in 0..20 {
            let pull = waits.pull(Uuid::new_v4(), "w", "ECHO", 1, 30_000).into_future();
            let (answer, id) = tokio::join!(pull, ann.created());
            assert_eq!(answer.grants()[0].id.to_string(), id);
        }
        let id = ann.created().await;
        let grant = rig.granted(&id, "stopping").await;
        let pull = waits.pull(Uuid::new_v4(), "w", "ECHO", 1, 30_000).into_future();
        let (answer, _) = tokio::join!(pull, rig.report(&grant, json!("released")));
        assert_eq!(answer.grants()[0].attempt, 2);
        let pull = waits.pull_older(100, "idle", 30_000).into_future();
        let (answer, id) = tokio::join!(pull, ann.created());
        assert_eq!(answer.grants()[0].id.to_string(), id, "once it is old enough");
    })
    .await;
}

/// G5: the answer was lost, and the worker asks another Backend while the first may still be granting.
#[tokio::test]
async fn an_ask_that_is_repeated_at_another_backend_is_granted_nothing_more() {
    both(async |one, other| {
        let (ann, rig) = (one.user(), one.worker());
        let elsewhere = also(&rig, other);
        for round in 0..20 {
            let ids = join_all((0..6).map(|_| ann.created())).await;
            let claim = Uuid::new_v4();
            let ask = |at: &Person<'_>| at.pull(claim, "w", "ECHO", 2, 0).into_future();
            let asks = join_all([ask(&rig), ask(&elsewhere), ask(&rig), ask(&elsewhere)]).await;
            let mut granted = BTreeSet::new();
            for answer in asks.into_iter().filter(|answer| answer.status == 200) {
                granted.extend(answer.grants().iter().map(|grant| grant.id.to_string()));
            }
            // Who was told to come back comes back.
            let last = loop {
                let answer = ask(&elsewhere).await;
                if answer.status == 200 {
                    break answer.grants();
                }
            };
            let last: BTreeSet<String> = last.iter().map(|grant| grant.id.to_string()).collect();
            assert_eq!(last.len(), 2, "round {round}: two slots, however often and wherever it was asked");
            assert!(granted.is_subset(&last), "round {round}: {granted:?}, then {last:?}");
            for id in &ids {
                let running = ann.task(id).await["status"] == "RUNNING";
                assert_eq!(running, last.contains(id), "round {round}");
                ann.cancel(id).await.is(200);
            }
        }
    })
    .await;
}

/// A worker that hangs up at one Backend and asks the other is answered there by what the first has granted it meanwhile.
#[tokio::test]
async fn what_was_granted_to_an_ask_whose_answer_was_lost_is_answered_at_another_backend() {
    both(async |one, other| {
        let (ann, rig) = (one.user(), one.worker());
        let elsewhere = also(&rig, other);
        let claim = Uuid::new_v4();
        let granted = rig.pull(claim, "w", "ECHO", 2, 0).await.grants();
        assert!(granted.is_empty(), "nothing is there yet");
        // The other holds the same ask when the first grants to it.
        let waits = elsewhere.pull(claim, "w", "BRIEF", 2, 1000).into_future();
        let grant = async {
            let id = ann.created().await;
            assert_eq!(rig.pull(claim, "w", "ECHO", 2, 0).await.grants().len(), 1);
            id
        };
        let (answer, id) = tokio::join!(waits, grant);
        assert_eq!(answer.grants()[0].id.to_string(), id);
    })
    .await;
}

#[tokio::test]
async fn what_is_missed_while_nobody_hears_is_looked_for_when_they_hear_again() {
    both(async |one, other| {
        let (ann, rig) = (one.user(), one.worker());
        let (waits, pulls) = (also(&ann, other), also(&rig, other));
        for _ in 0..5 {
            let ended = ann.created().await;
            let pull = pulls.pull(Uuid::new_v4(), "w", "BRIEF", 1, 30_000).into_future();
            let meanwhile = async {
                later(&waits, &ended).await;
                one.sql(DEAFEN.to_owned()).await;
                ann.cancel(&ended).await.is(200);
                ann.submit(json!({"type": "BRIEF"})).await.id()
            };
            let (task, answer, ready) = tokio::join!(told(&waits, &ended), pull, meanwhile);
            assert_eq!(task["reason"], "REQUESTED");
            assert_eq!(answer.grants()[0].id.to_string(), ready);
        }
    })
    .await;
}

/// Whoever committed it may be gone before it could tell.
#[tokio::test]
async fn a_backend_that_hears_again_looks_for_what_it_was_not_told() {
    let service = WorkerCaller::up(Scratch::postgres().await, |_| {}).await;
    let ann = service.user();
    let id = ann.created().await;
    let deafen = async {
        later(&ann, &id).await;
        let ended = format!(
            "with gone as (delete from unfinished_task where id = '{id}' returning *)
            insert into outcome (id, owner, type, status, reason, attempt, ended_at)
            select id, owner, type, 'CANCELLED', 'NOT_STARTED', 0, now_us() from gone"
        );
        service.sql(ended).await;
        service.sql(DEAFEN.to_owned()).await;
    };
    assert_eq!(tokio::join!(told(&ann, &id), deafen).0["reason"], "NOT_STARTED");
    service.down().await;
}

/// Ends the connections on which Backends hear each other.
const DEAFEN: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name = 'tasker notifications'";

#[tokio::test]
async fn a_connection_on_which_nothing_comes_through_any_more_is_noticed() {
    let one = WorkerCaller::up(Scratch::postgres().await, |_| {}).await;
    let proxy = Proxy::to(host(one.scratch())).await;
    let url = format!("{}?sslmode=disable", through(one.scratch(), &proxy));
    let store = Store::new(Db::open(&url).unwrap(), Clock::System);
    let other = WorkerCaller::on(store, Scratch::sqlite(), one.issuer.clone(), |_| {}).await;
    let ann = one.user();
    let waits = also(&ann, &other);
    // Once an end is heard, both listen.
    let id = ann.created().await;
    let cancel = ann.cancel(&id).into_future();
    assert_eq!(tokio::join!(told(&waits, &id), cancel).0["reason"], "REQUESTED");
    let id = ann.created().await;
    let cancel = async {
        later(&waits, &id).await;
        proxy.mute();
        ann.cancel(&id).await.is(200);
    };
    assert_eq!(tokio::join!(told(&waits, &id), cancel).0["reason"], "REQUESTED");
    other.stopped().await.0.close().await;
    one.down().await;
}
