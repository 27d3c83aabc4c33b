//! Held heartbeats: answered as soon as the worker must stop a task, and otherwise when their time is over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::kit::fake_issuer::{FakeIssuer, now, sign};
use crate::kit::openapi_checked_client::{ApiClient, ApiResponse};
use crate::kit::step_observers::LogCapture;
use crate::kit::test_backend::{TestBackend, on_each_database, on_each_database_with};

/// The longest that a heartbeat may be held.
const LONGEST: u64 = 30_000;

/// The tasks that an answer says must stop. It must have come because of them, and not because the time is over.
fn stopped_at_once(answer: ApiResponse, began: Instant) -> BTreeSet<String> {
    let stop = stopped(answer);
    assert!(began.elapsed() < Duration::from_secs(20), "not at once: {stop:?}");
    stop
}

fn stopped(answer: ApiResponse) -> BTreeSet<String> {
    let response: Value = answer.ok();
    response["stop"]
        .as_array()
        .unwrap()
        .iter()
        .map(|grant| grant["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Captures the lines by which a test sees that a heartbeat is held.
macro_rules! capture_log {
    ($log:ident) => {
        let $log = LogCapture::default();
        let _guard = $log.install("backend=trace");
    };
}

#[tokio::test]
async fn a_held_heartbeat_is_answered_when_a_task_is_cancelled() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        capture_log!(log);
        let service = TestBackend::start(database, |_| {}).await;
        let (user, worker) = (service.user(), service.worker());
        let (named, foreign) = (user.submit_echo().await, user.submit_echo().await);
        worker.claim_one(&named, "w").await;
        worker.claim_one(&foreign, "another").await;
        let began = Instant::now();
        let cancel = async |id: &str, times| {
            log.heartbeats_are_held("w", times).await;
            user.cancel(&foreign).await.expect_status(200);
            user.cancel(id).await.expect_status(200);
        };
        let held = worker.held_heartbeat("w", &[(&named, 1)], LONGEST).into_future();
        let (answer, ()) = tokio::join!(held, cancel(&named, 1));
        assert_eq!(stopped_at_once(answer, began), BTreeSet::from([named.clone()]));
        let held = worker.held_heartbeat("w", &[(&named, 1)], LONGEST).await;
        assert_eq!(stopped_at_once(held, began), BTreeSet::from([named]), "it must stop already");
        let cancel_later = async {
            log.heartbeats_are_held("w", 2).await;
            let later = user.submit_echo().await;
            worker.claim_one(&later, "w").await;
            cancel(&later, 2).await;
            later
        };
        let held = worker.held_heartbeat("w", &[], LONGEST).into_future();
        let (answer, later) = tokio::join!(held, cancel_later);
        assert_eq!(stopped_at_once(answer, began), BTreeSet::from([later]), "it was granted since");
        service.finish().await;
    }
}

#[tokio::test]
async fn a_held_heartbeat_is_answered_when_a_task_expires_or_its_worker_is_lost() {
    let adjust = |settings: &mut backend::Settings| {
        settings.worker_lost = Duration::from_millis(300);
        settings.check_period = Duration::from_millis(50);
    };
    on_each_database_with(adjust, async |service| {
        let (user, worker) = (service.user(), service.worker());
        let began = Instant::now();
        let expired = user.submit(json!({"type": "ECHO", "ttl": 100})).await.id();
        worker.claim_one(&expired, "w").await;
        let answer = worker.held_heartbeat("w", &[(&expired, 1)], LONGEST).await;
        assert_eq!(stopped_at_once(answer, began), BTreeSet::from([expired]));
        let lost = user.submit_echo().await;
        worker.claim_one(&lost, "w").await;
        let answer = worker.held_heartbeat("w", &[(&lost, 1)], LONGEST).await;
        assert_eq!(stopped_at_once(answer, began), BTreeSet::from([lost]));
    })
    .await;
}

/// A cancellation at one Backend, a grant by it, and the heartbeat at the other.
#[tokio::test]
async fn a_heartbeat_that_is_held_at_one_backend_is_answered_for_a_cancellation_at_another() {
    capture_log!(log);
    let one = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let other = one.start_another(|_| {}).await;
    let (user, worker) = (one.user(), one.worker());
    let at_other = ApiClient { url: &other.url, http: &other.http, ..worker.clone() };
    // Once a notification has arrived, both Backends are connected.
    let id = user.submit_echo().await;
    let waiting_user = other.with_token(user.token.clone().unwrap());
    let cancel = user.cancel(&id).into_future();
    tokio::join!(waiting_user.wait_for_end(&id), cancel);
    for times in 1..=20 {
        let began = Instant::now();
        let named = user.submit_echo().await;
        worker.claim_one(&named, "w").await;
        let cancel = async {
            log.heartbeats_are_held("w", times).await;
            let granted_since = user.submit_echo().await;
            worker.claim_one(&granted_since, "w").await;
            let id = if times % 2 == 0 { named.clone() } else { granted_since };
            user.cancel(&id).await.expect_status(200);
            id
        };
        let held = at_other.held_heartbeat("w", &[(&named, 1)], LONGEST).into_future();
        let (answer, id) = tokio::join!(held, cancel);
        assert_eq!(stopped_at_once(answer, began), BTreeSet::from([id]));
    }
    other.shut_down().await.0.close().await;
    one.finish().await;
}

#[tokio::test]
async fn a_held_heartbeat_is_answered_when_its_time_or_that_of_its_token_is_over() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        worker.claim_one(&id, "w").await;
        assert_eq!(stopped(worker.held_heartbeat("w", &[(&id, 1)], 1).await), BTreeSet::new());
        // Of the ten seconds by which clocks may differ, one or two are left.
        let mut claims = service.issuer.claims(&Uuid::new_v4().to_string(), &["Worker"]);
        claims["exp"] = json!(now() - 8);
        let expiring = service.with_token(sign(&FakeIssuer::header(), &claims.to_string()));
        let began = Instant::now();
        let answer = expiring.held_heartbeat("expiring", &[], LONGEST).await;
        assert_eq!(stopped_at_once(answer, began), BTreeSet::new());
        let refused = worker.held_heartbeat("w", &[], LONGEST + 1).await.expect_status(422);
        assert_eq!(refused.errors()["/waitMs"], "waitMs must be 0 to 30000 milliseconds");
    })
    .await;
}

#[tokio::test]
async fn a_later_heartbeat_of_the_worker_takes_the_place_of_one_that_is_held() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        capture_log!(log);
        let service = TestBackend::start(database, |_| {}).await;
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        worker.claim_one(&id, "w").await;
        let began = Instant::now();
        let first = worker.held_heartbeat("w", &[(&id, 1)], LONGEST).into_future();
        let second = async {
            log.heartbeats_are_held("w", 1).await;
            worker.another_process().held_heartbeat("w", &[], LONGEST).await.expect_status(409);
            let second = worker.held_heartbeat("w", &[(&id, 1)], LONGEST).into_future();
            let cancel = async {
                log.heartbeats_are_held("w", 2).await;
                user.cancel(&id).await.expect_status(200);
            };
            tokio::join!(second, cancel).0
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(stopped_at_once(first, began), BTreeSet::new());
        assert_eq!(stopped_at_once(second, began), BTreeSet::from([id]));
        service.finish().await;
    }
}

#[tokio::test]
async fn a_shutdown_answers_held_heartbeats_and_a_last_heartbeat_is_not_held() {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        capture_log!(log);
        let service = TestBackend::start(database, |_| {}).await;
        let worker = service.worker();
        let began = Instant::now();
        let last = json!({"worker": "last", "instance": worker.instance, "slots": 1, "types": [], "running": [], "last": true, "waitMs": LONGEST});
        worker.post("/api/Worker/heartbeat").json(last).await.expect_status(200);
        let held = worker.held_heartbeat("w", &[], LONGEST).into_future();
        let stop = async {
            log.heartbeats_are_held("w", 1).await;
            service.stop.cancel();
        };
        assert_eq!(stopped_at_once(tokio::join!(held, stop).0, began), BTreeSet::new());
        service.finish().await;
    }
}
