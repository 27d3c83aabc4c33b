//! Two Backends on one PostgreSQL: requests that wait at one are notified of what is committed at the other.
//!
//! Neither the slow check nor the periodic check runs again while a test runs: what a waiting request learns, it learns by a
//! notification.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use database::{Db, ProcessClock};
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::Store;
use testkit::TestDatabase;
use uuid::Uuid;

use crate::kit::openapi_checked_client::{ApiClient, ApiResponse};
use crate::kit::step_observers::{ClaimQueries, LogCapture};
use crate::kit::tcp_proxy::TcpProxy;
use crate::kit::test_backend::TestBackend;
use crate::kit::until::until;

/// Ends the connections on which Backends notify each other.
const CUT_PEER_CONNECTIONS: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'tasker %'";

/// Runs `test` with two Backends on one database.
async fn with_two_backends(test: impl AsyncFn(&TestBackend, &TestBackend)) {
    let one = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let other = one.start_another(|_| {}).await;
    test(&one, &other).await;
    other.shut_down().await.0.close().await;
    one.finish().await;
}

/// Waits for the end of a task. Asserts that a notification ended the wait, and not its limit of 30 s.
async fn notified_of_end(client: &ApiClient<'_>, id: &str) -> Value {
    let began = Instant::now();
    let task = client.wait_for_end(id).await;
    assert!(began.elapsed() < Duration::from_secs(20), "no notification of the end of {task}");
    task
}

/// The same client at the other Backend.
fn at_other<'a>(client: &ApiClient<'_>, other: &'a TestBackend) -> ApiClient<'a> {
    other.with_token(client.token.clone().unwrap())
}

#[tokio::test]
async fn a_request_that_waits_for_a_task_is_notified_that_it_has_ended_at_another_backend() {
    with_two_backends(async |one, other| {
        let (user, worker) = (one.user(), one.worker());
        let waiting_user = at_other(&user, other);
        for _ in 0..20 {
            let id = user.submit_echo().await;
            let settle = async {
                let grant = worker.claim_one(&id, "w").await;
                worker.report(&grant, json!({"result": 1})).await
            };
            assert_eq!(tokio::join!(notified_of_end(&waiting_user, &id), settle).0["status"], "FINISHED");
        }
        let id = user.submit_echo().await;
        let cancel = user.cancel(&id).into_future();
        assert_eq!(tokio::join!(notified_of_end(&waiting_user, &id), cancel).0["reason"], "REQUESTED");
        let id = user.submit(json!({"type": "ECHO", "ttl": 100})).await.id();
        let expire = worker.claim_one(&id, "w");
        assert_eq!(tokio::join!(notified_of_end(&waiting_user, &id), expire).0["reason"], "TTL_EXPIRED");
        let id = user.submit_echo().await;
        worker.claim_one(&id, "restarted").await;
        let first_heartbeat =
            json!({"worker": "restarted", "instance": Uuid::new_v4(), "slots": 1, "types": [], "running": []});
        let restart = worker.post("/api/Worker/heartbeat").json(first_heartbeat).into_future();
        assert_eq!(tokio::join!(notified_of_end(&waiting_user, &id), restart).0["reason"], "WORKER_LOST");
    })
    .await;
}

#[tokio::test]
async fn a_waiting_worker_is_granted_at_once_what_becomes_ready_at_another_backend() {
    with_two_backends(async |one, other| {
        let (user, worker) = (one.user(), one.worker());
        let waiting_worker = at_other(&worker, other);
        for _ in 0..20 {
            let claim = waiting_worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).into_future();
            let (answer, id) = tokio::join!(claim, user.submit_echo());
            assert_eq!(answer.grants()[0].id.to_string(), id);
        }
        let id = user.submit_echo().await;
        let grant = worker.claim_one(&id, "stopping").await;
        let claim = waiting_worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).into_future();
        let (answer, _) = tokio::join!(claim, worker.report_as("stopping", &grant, json!("released")));
        assert_eq!(answer.grants()[0].attempt, 2);
        let claim = waiting_worker.claim_older(100, "idle", 30_000).into_future();
        let (answer, id) = tokio::join!(claim, user.submit_echo());
        assert_eq!(answer.grants()[0].id.to_string(), id, "once it is old enough");
    })
    .await;
}

/// G5: the answer was lost, and the worker repeats its request at another Backend while the first may still grant.
#[tokio::test]
async fn a_claim_request_repeated_at_another_backend_is_granted_nothing_more() {
    with_two_backends(async |one, other| {
        let (user, worker) = (one.user(), one.worker());
        let elsewhere = at_other(&worker, other);
        for round in 0..20 {
            let ids = join_all((0..6).map(|_| user.submit_echo())).await;
            let claim = Uuid::new_v4();
            let claim_at = |at: &ApiClient<'_>| at.claim_by_type(claim, "w", "ECHO", 2, 0).into_future();
            let answers = [&worker, &elsewhere, &worker, &elsewhere].map(claim_at);
            let mut granted = BTreeSet::new();
            let answers = join_all(answers).await.into_iter();
            for grants in answers.filter_map(ApiResponse::grants_unless_duplicate) {
                granted.extend(grants.iter().map(|grant| grant.id.to_string()));
            }
            // A request that was refused as a duplicate is repeated.
            let last = RefCell::new(Vec::new());
            let is_answered = async || {
                let grants = claim_at(&elsewhere).await.grants_unless_duplicate();
                grants.is_some_and(|grants| {
                    last.replace(grants);
                    true
                })
            };
            until("a repeated claim request is answered with its grants", is_answered).await;
            let last: BTreeSet<String> = last.into_inner().iter().map(|grant| grant.id.to_string()).collect();
            assert_eq!(last.len(), 2, "round {round}: two slots, however often and at whatever Backend");
            assert!(granted.is_subset(&last), "round {round}: {granted:?}, then {last:?}");
            for id in &ids {
                let is_running = user.task(id).await["status"] == "RUNNING";
                assert_eq!(is_running, last.contains(id), "round {round}");
                user.cancel(id).await.expect_status(200);
            }
        }
    })
    .await;
}

/// A worker loses its connection to one Backend and repeats its claim request at the other, while the first still grants.
#[tokio::test]
async fn a_claim_request_repeated_at_another_backend_is_answered_with_what_the_first_backend_granted() {
    let queries = ClaimQueries::new();
    let _guard = metrics::set_default_local_recorder(&queries);
    with_two_backends(async |one, other| {
        let (user, worker) = (one.user(), one.worker());
        let elsewhere = at_other(&worker, other);
        let claim = Uuid::new_v4();
        let granted = worker.claim_by_type(claim, "w", "ECHO", 2, 0).await.grants();
        assert!(granted.is_empty(), "no task has been submitted");
        let before = queries.finished();
        let repeated = elsewhere.claim_by_type(claim, "w", "BRIEF", 2, 1000).into_future();
        let grant_at_first = async {
            queries.more_than(before).await;
            let id = user.submit_echo().await;
            assert_eq!(worker.claim_by_type(claim, "w", "ECHO", 2, 0).await.grants().len(), 1);
            id
        };
        let (answer, id) = tokio::join!(repeated, grant_at_first);
        assert_eq!(answer.grants()[0].id.to_string(), id);
    })
    .await;
}

#[tokio::test]
async fn what_was_missed_without_a_connection_is_looked_for_when_it_is_back() {
    let (queries, log) = (ClaimQueries::new(), LogCapture::default());
    let _guards = (metrics::set_default_local_recorder(&queries), log.install("backend=trace"));
    with_two_backends(async |one, other| {
        let (user, worker) = (one.user(), one.worker());
        let (waiting_user, waiting_worker) = (at_other(&user, other), at_other(&worker, other));
        for _ in 0..5 {
            let ended = user.submit_echo().await;
            let before = queries.finished();
            let claim = waiting_worker.claim_by_type(Uuid::new_v4(), "w", "BRIEF", 1, 30_000).into_future();
            let commit_unnoticed = async {
                log.request_waits_for_end_of(&ended).await;
                queries.more_than(before).await;
                one.execute_sql(CUT_PEER_CONNECTIONS.to_owned()).await;
                user.cancel(&ended).await.expect_status(200);
                user.submit(json!({"type": "BRIEF"})).await.id()
            };
            let (task, answer, ready) =
                tokio::join!(notified_of_end(&waiting_user, &ended), claim, commit_unnoticed);
            assert_eq!(task["reason"], "REQUESTED");
            assert_eq!(answer.grants()[0].id.to_string(), ready);
        }
    })
    .await;
}

/// A Backend may be killed between its commit and its notification.
#[tokio::test]
async fn what_was_committed_without_a_notification_is_looked_for_after_a_reconnection() {
    let log = LogCapture::default();
    let _guard = log.install("backend=trace");
    let service = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let user = service.user();
    let id = user.submit_echo().await;
    let end_without_notification = async {
        log.request_waits_for_end_of(&id).await;
        let ended = format!(
            "with gone as (delete from unfinished_task where id = '{id}' returning *)
            insert into outcome (id, owner, type, status, reason, attempt, ended_at)
            select id, owner, type, 'CANCELLED', 'NOT_STARTED', 0, now_us() from gone"
        );
        service.execute_sql(ended).await;
        service.execute_sql(CUT_PEER_CONNECTIONS.to_owned()).await;
    };
    let (task, ()) = tokio::join!(notified_of_end(&user, &id), end_without_notification);
    assert_eq!(task["reason"], "NOT_STARTED");
    service.finish().await;
}

#[tokio::test]
async fn a_silent_connection_to_the_other_backends_is_noticed_and_replaced() {
    let log = LogCapture::default();
    let _guard = log.install("backend=trace");
    let one = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let proxy = TcpProxy::to(one.database()).await;
    let url = format!("{}?sslmode=disable", proxy.url(one.database()));
    let store = Store::new(Db::open(&url).unwrap(), ProcessClock::System);
    let issuer = one.issuer.clone();
    let other =
        TestBackend::start_on(store, ProcessClock::System, TestDatabase::sqlite(), issuer, |_| {}).await;
    let user = one.user();
    let waiting_user = at_other(&user, &other);
    // Once a notification has arrived, both Backends are connected.
    let id = user.submit_echo().await;
    let cancel = user.cancel(&id).into_future();
    assert_eq!(tokio::join!(notified_of_end(&waiting_user, &id), cancel).0["reason"], "REQUESTED");
    let id = user.submit_echo().await;
    let cancel = async {
        log.request_waits_for_end_of(&id).await;
        proxy.block_peer_connections();
        user.cancel(&id).await.expect_status(200);
    };
    assert_eq!(tokio::join!(notified_of_end(&waiting_user, &id), cancel).0["reason"], "REQUESTED");
    other.shut_down().await.0.close().await;
    one.finish().await;
}
