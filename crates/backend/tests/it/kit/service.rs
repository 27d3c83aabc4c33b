//! A real Backend on a free port and an empty database, with an issuer beside it.

use std::time::Duration;

use backend::{Backend, Settings};
use database::{Clock, Db};
use domain::{Operation, Ttl};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use store::Store;
use testkit::Scratch;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::kit::clients::{Call, Person};
use crate::kit::fake_issuer::Issuer;

/// Longer than any test: what happens, happens without the periodic check.
pub(crate) const NEVER: Duration = Duration::from_hours(1);

pub(crate) struct WorkerCaller {
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) issuer: Issuer,
    pub(crate) http: reqwest::Client,
    pub(crate) stop: CancellationToken,
    /// The server and the Backend's own work.
    serving: JoinHandle<()>,
    scratch: Scratch,
}

/// Runs `test` on a new Backend on each kind of database.
pub(crate) async fn each(test: impl AsyncFn(&WorkerCaller)) {
    each_with(|_| {}, test).await;
}

/// The same with other settings.
pub(crate) async fn each_with(adjust: impl Fn(&mut Settings), test: impl AsyncFn(&WorkerCaller)) {
    for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
        let service = WorkerCaller::up(scratch, &adjust).await;
        test(&service).await;
        service.down().await;
    }
}

impl WorkerCaller {
    pub(crate) async fn up(scratch: Scratch, adjust: impl Fn(&mut Settings)) -> Self {
        let issuer = Issuer::up(&TaskTracker::new()).await;
        let store = Store::new(scratch.open(), Clock::System);
        store.migrate().await.unwrap();
        Self::on(store, scratch, issuer, adjust).await
    }

    pub(crate) async fn on(
        store: Store,
        scratch: Scratch,
        issuer: Issuer,
        adjust: impl Fn(&mut Settings),
    ) -> Self {
        let mut settings = settings(&issuer.url);
        adjust(&mut settings);
        let stop = CancellationToken::new();
        let backend =
            Backend::open(store.clone(), settings, &operations(), None, stop.clone()).await.unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", tcp.local_addr().unwrap());
        let (router, stopped) = (backend.router(), stop.clone());
        let serving = TaskTracker::new().spawn(async move {
            let server = axum::serve(tcp, router).with_graceful_shutdown(stopped.cancelled_owned());
            let (outcome, ran) = tokio::join!(async { server.await }, backend.run());
            outcome.unwrap();
            ran.unwrap();
        });
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap();
        Self { url, store, issuer, http, stop, serving, scratch }
    }

    /// Another Backend on the same database and the same issuer.
    pub(crate) async fn again(&self, adjust: impl Fn(&mut Settings)) -> Self {
        let store = Store::new(self.scratch.open(), Clock::System);
        store.migrate().await.unwrap();
        Self::on(store, Scratch::sqlite(), self.issuer.clone(), adjust).await
    }

    /// Its database.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Stops it: whoever waits is answered, and it returns. The books balance.
    pub(crate) async fn down(self) {
        let (store, scratch, _) = self.stopped().await;
        assert!(store.counts().await.unwrap().balance());
        forget(store, scratch).await;
    }

    /// Stops it; what is left can serve another.
    pub(crate) async fn stopped(self) -> (Store, Scratch, Issuer) {
        self.stop.cancel();
        drop(self.http);
        self.serving.await.unwrap();
        (self.store, self.scratch, self.issuer)
    }

    /// A new person with the role User.
    pub(crate) fn user(&self) -> Person<'_> {
        self.person(&["User"])
    }

    /// A new account with the role Worker.
    pub(crate) fn worker(&self) -> Person<'_> {
        self.person(&["Worker"])
    }

    /// A new person with Full Access.
    pub(crate) fn admin(&self) -> Person<'_> {
        self.person(&["User", "Admin"])
    }

    fn person(&self, roles: &[&str]) -> Person<'_> {
        self.bearer(self.issuer.token(&Uuid::new_v4().to_string(), roles))
    }

    /// Whoever holds this token.
    pub(crate) fn bearer(&self, token: String) -> Person<'_> {
        Person { service: self, token: Some(token) }
    }

    pub(crate) fn nobody(&self) -> Person<'_> {
        Person { service: self, token: None }
    }

    /// Does something to the database that no Tasker does.
    pub(crate) async fn sql(&self, text: String) {
        let text = AssertSqlSafe(text);
        if self.is_postgres() {
            PgConnection::connect(&self.scratch.url).await.unwrap().execute(text).await.unwrap();
        } else {
            SqliteConnection::connect(&self.scratch.url).await.unwrap().execute(text).await.unwrap();
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.scratch.open(), Db::Postgres(_))
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.nobody().get(path)
    }
}

/// Closes a database and leaves nothing behind on the server.
pub(crate) async fn forget(store: Store, scratch: Scratch) {
    store.close().await;
    if matches!(scratch.open(), Db::Postgres(_)) {
        let (_, name) = scratch.url.rsplit_once('/').unwrap();
        let mut server = PgConnection::connect(&testkit::postgres_server()).await.unwrap();
        let drop = format!("drop database {name} with (force)");
        server.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

pub(crate) fn settings(identity_url: &str) -> Settings {
    Settings {
        identity_url: identity_url.to_owned(),
        identity_ca: None,
        check_period: NEVER,
        resend_period: NEVER,
        slow_check: NEVER,
        default_ttl: None,
        max_ttl: Ttl::DEFAULT_MAX,
        start_within: Ttl::DEFAULT_MAX,
        keep_ended: NEVER,
        worker_lost: NEVER,
        cors_origins: vec!["https://pages.example".to_owned()],
        max_parameters: 256 * 1024,
        max_result: 1024 * 1024,
        is_sampled: true,
        request_timeout: Duration::from_secs(10),
    }
}

/// ECHO takes anything, LOGIN has a strict schema, BRIEF has bounds of its own.
fn operations() -> Vec<Operation> {
    let strict = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "length": {"type": "integer", "minimum": 1, "maximum": 100},
            "alphabet": {"type": "string", "maxLength": 64},
            "style": {"type": "object", "additionalProperties": false, "properties": {"colour": {"type": "string"}}},
        },
    });
    [
        json!({"type": "ECHO", "parameters": {}, "result": {}}),
        json!({"type": "LOGIN", "parameters": strict, "result": {"type": "string"}}),
        json!({"type": "BRIEF", "parameters": {}, "result": {}, "ttl": {"default": 1000, "max": 2000}}),
    ]
    .map(operation)
    .into()
}

fn operation(value: Value) -> Operation {
    serde_json::from_value(value).unwrap()
}
