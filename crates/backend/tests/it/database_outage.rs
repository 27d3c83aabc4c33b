//! An outage of the database: every request is answered that the database is unavailable, and afterwards the Backend works
//! again without a restart.

use std::time::Duration;

use database::{Db, ProcessClock};
use serde_json::{Value, json};
use store::Store;
use testkit::TestDatabase;
use tokio_util::task::TaskTracker;

use crate::kit::fake_issuer::FakeIssuer;
use crate::kit::step_observers::LogCapture;
use crate::kit::tcp_proxy::TcpProxy;
use crate::kit::test_backend::TestBackend;
use crate::kit::until::until;

#[tokio::test]
async fn requests_are_answered_503_during_a_database_outage_and_all_works_again_after_it() {
    let log = LogCapture::default();
    let _guard = log.install("info");
    let database = TestDatabase::postgres().await;
    let proxy = TcpProxy::to(&database).await;
    let store = Store::new(Db::open(&proxy.url(&database)).unwrap(), ProcessClock::System);
    store.migrate().await.unwrap();
    let issuer = FakeIssuer::start(&TaskTracker::new()).await;
    let check = |settings: &mut backend::Settings| settings.check_period = Duration::from_millis(100);
    let service = TestBackend::start_on(store, ProcessClock::System, database, issuer, check).await;
    let (user, worker) = (service.user(), service.worker());
    let id = user.submit_echo().await;
    let expires = user.submit(json!({"type": "ECHO", "ttl": 100})).await.id();
    worker.claim_one(&expires, "w").await;

    proxy.cut();
    let requests = [
        user.get("/health/ready"),
        user.get("/api/Task"),
        user.get(&format!("/api/Task/{id}")),
        user.cancel(&id),
        user.submit(json!({"type": "ECHO", "ttl": 1000})),
        worker.claim_by_patch(&id, "w"),
        worker.claim_by_type(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000),
        worker.heartbeat("w", &[]),
    ];
    for answer in futures_util::future::join_all(requests.map(IntoFuture::into_future)).await {
        assert_eq!(answer.problem().0, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!answer.text.contains("sqlx") && !answer.text.contains("127.0.0.1"), "{}", answer.text);
    }
    service.get("/health/live").await.expect_status(200);

    proxy.restore();
    until("the Backend is ready again", async || service.get("/health/ready").await.status == 200).await;
    assert_eq!(user.wait_for_end(&expires).await["reason"], "TTL_EXPIRED");
    let (claimed, submitted) = tokio::join!(
        worker.claim_by_type(uuid::Uuid::new_v4(), "w", "ECHO", 2, 30_000).into_future(),
        user.submit_echo()
    );
    assert!(!claimed.grants().is_empty());
    user.cancel(&submitted).await.expect_status(200);
    let (store, database, _) = service.shut_down().await;
    assert!(store.counts().await.unwrap().is_balanced());
    store.close().await;
    drop(database);
    assert_eq!(log.lines_with("the sweep of overdue tasks failed").len(), 1, "{}", log.text());
    assert_eq!(log.lines_with("ERROR backend").len(), 1, "{}", log.text());
    assert_eq!(log.lines_with("the sweep of overdue tasks works again").len(), 1, "{}", log.text());
}

#[tokio::test]
async fn an_accepted_task_is_answered_201_though_the_database_fails_while_the_caller_waits_for_its_end() {
    let database = TestDatabase::postgres().await;
    let proxy = TcpProxy::to(&database).await;
    let store = Store::new(Db::open(&proxy.url(&database)).unwrap(), ProcessClock::System);
    store.migrate().await.unwrap();
    let issuer = FakeIssuer::start(&TaskTracker::new()).await;
    let slow_check = |settings: &mut backend::Settings| settings.slow_check = Duration::from_millis(100);
    let service = TestBackend::start_on(store, ProcessClock::System, database, issuer, slow_check).await;
    let user = service.user();
    let submit = user.submit(json!({"type": "ECHO", "ttl": 60_000})).prefer("wait=60").into_future();
    let cut = async {
        let is_accepted =
            async || !user.get("/api/Task").await.ok::<Value>()["tasks"].as_array().unwrap().is_empty();
        until("the task is accepted", is_accepted).await;
        proxy.cut();
    };
    let (answer, ()) = tokio::join!(submit, cut);
    assert_eq!(answer.header("preference-applied"), None);
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(format!("/api/Task/{}", answer.id()), location);
    proxy.restore();
    until("the Backend is ready again", async || service.get("/health/ready").await.status == 200).await;
    assert_eq!(user.get(&location).await.ok::<Value>()["status"], "CREATED");
    service.finish().await;
}
