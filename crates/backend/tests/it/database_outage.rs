//! The database goes away and comes back: clear answers, and then everything works again by itself.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use database::{Clock, Db};
use serde_json::{Value, json};
use store::Store;
use testkit::Scratch;
use tokio_util::task::TaskTracker;
use tracing_subscriber::fmt::MakeWriter;

use crate::kit::fake_issuer::Issuer;
use crate::kit::service::{WorkerCaller, forget};
use crate::kit::tcp_proxy::Proxy;

#[tokio::test]
async fn requests_are_told_that_the_database_is_away_and_all_goes_on_when_it_is_back() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let scratch = Scratch::postgres().await;
    let proxy = Proxy::to(host(&scratch)).await;
    let store = Store::new(Db::open(&through(&scratch, &proxy)).unwrap(), Clock::System);
    store.migrate().await.unwrap();
    let issuer = Issuer::up(&TaskTracker::new()).await;
    let check = |settings: &mut backend::Settings| settings.check_period = Duration::from_millis(100);
    let service = WorkerCaller::on(store, scratch, issuer, check).await;
    let (ann, rig) = (service.user(), service.worker());
    let id = ann.created().await;
    let expires = ann.submit(json!({"type": "ECHO", "ttl": 100})).await.id();
    rig.granted(&expires, "w").await;

    proxy.cut();
    let asked = [
        ann.get("/health/ready"),
        ann.get("/api/Task"),
        ann.get(&format!("/api/Task/{id}")),
        ann.cancel(&id),
        ann.submit(json!({"type": "ECHO", "ttl": 1000})),
        rig.ask(&id, "w"),
        rig.pull(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000),
        rig.beat("w", &[]),
    ];
    for answer in futures_util::future::join_all(asked.map(IntoFuture::into_future)).await {
        assert_eq!(answer.problem().0, 503);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(!answer.text.contains("sqlx") && !answer.text.contains("127.0.0.1"), "{}", answer.text);
    }
    service.get("/health/live").await.is(200);

    proxy.mend();
    while service.get("/health/ready").await.status == 503 {}
    assert_eq!(ann.ended(&expires).await["reason"], "TTL_EXPIRED");
    let (next, submitted) =
        tokio::join!(rig.pull(uuid::Uuid::new_v4(), "w", "ECHO", 2, 30_000).into_future(), ann.created());
    assert!(!next.grants().is_empty());
    ann.cancel(&submitted).await.is(200);
    let (store, scratch, _) = service.stopped().await;
    assert!(store.counts().await.unwrap().balance());
    forget(store, scratch).await;
    assert_eq!(log.lines_with("the sweep of overdue tasks failed"), 1, "{}", log.text());
    assert_eq!(log.lines_with("ERROR backend"), 1, "{}", log.text());
    assert_eq!(log.lines_with("the sweep of overdue tasks works again"), 1, "{}", log.text());
}

#[tokio::test]
async fn a_task_that_was_accepted_is_answered_so_though_the_database_goes_away_while_the_caller_waits() {
    let scratch = Scratch::postgres().await;
    let proxy = Proxy::to(host(&scratch)).await;
    let store = Store::new(Db::open(&through(&scratch, &proxy)).unwrap(), Clock::System);
    store.migrate().await.unwrap();
    let issuer = Issuer::up(&TaskTracker::new()).await;
    let look = |settings: &mut backend::Settings| settings.slow_check = Duration::from_millis(100);
    let service = WorkerCaller::on(store, scratch, issuer, look).await;
    let ann = service.user();
    let submit = ann.submit(json!({"type": "ECHO", "ttl": 60_000})).prefer("wait=60").into_future();
    let cut = async {
        while ann.get("/api/Task").await.ok::<Value>()["tasks"].as_array().unwrap().is_empty() {}
        proxy.cut();
    };
    let (answer, ()) = tokio::join!(submit, cut);
    assert_eq!(answer.header("preference-applied"), None);
    let location = answer.header("location").unwrap().to_owned();
    assert_eq!(format!("/api/Task/{}", answer.id()), location);
    proxy.mend();
    while service.get("/health/ready").await.status == 503 {}
    assert_eq!(ann.get(&location).await.ok::<Value>()["status"], "CREATED");
    service.down().await;
}

/// Where the test server listens.
pub(crate) fn host(scratch: &Scratch) -> String {
    let (_, rest) = scratch.url.split_once('@').unwrap();
    rest.split_once('/').unwrap().0.to_owned()
}

/// The same database by way of the proxy.
pub(crate) fn through(scratch: &Scratch, proxy: &Proxy) -> String {
    scratch.url.replace(&host(scratch), &format!("127.0.0.1:{}", proxy.port))
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines_with(&self, word: &str) -> usize {
        self.text().lines().filter(|line| line.contains(word)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
