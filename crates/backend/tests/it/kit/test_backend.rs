//! A Backend on a free port and an empty database, with a fake issuer beside it.

use std::time::Duration;

use backend::{Backend, Settings};
use database::{Db, ProcessClock};
use domain::{Operation, OwnerId, Submission, Ttl};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use store::Store;
use testkit::TestDatabase;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use web::client_address::TrustedProxies;

use crate::kit::fake_issuer::FakeIssuer;
use crate::kit::openapi_checked_client::{ApiClient, ApiRequest};
use crate::kit::until::until;

/// A period that no test outlives: what it would bring about happens in a test for another reason, or not at all.
pub(crate) const LONGER_THAN_ANY_TEST: Duration = Duration::from_hours(1);

/// Where a clock that a test sets begins, in microseconds since 1970.
const CLOCK_START: i64 = 1_800_000_000_000_000;

/// Lets PostgreSQL's tables follow a row instead of the server's clock.
const SET_CLOCK: &str = "
    create table test_clock (at bigint not null);
    insert into test_clock values (1800000000000000);
    create or replace function now_us() returns bigint language sql stable as $$ select at from test_clock $$";

/// A running Backend. Its periodic work runs once at its start, and then not for as long as a test lasts.
pub(crate) struct TestBackend {
    /// Where it is: `http://HOST:PORT`.
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) issuer: FakeIssuer,
    pub(crate) http: reqwest::Client,
    /// Stops the server and the background tasks.
    pub(crate) stop: CancellationToken,
    /// The server and the background tasks.
    serving: JoinHandle<()>,
    clock: ProcessClock,
    database: TestDatabase,
}

/// Runs `test` on a new Backend, once on SQLite and once on PostgreSQL.
pub(crate) async fn on_each_database(test: impl AsyncFn(&TestBackend)) {
    on_each_database_with(|_| {}, test).await;
}

/// The same with other settings.
pub(crate) async fn on_each_database_with(adjust: impl Fn(&mut Settings), test: impl AsyncFn(&TestBackend)) {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        let service = TestBackend::start(database, &adjust).await;
        test(&service).await;
        service.finish().await;
    }
}

/// The same on databases whose clock stands still but for [`TestBackend::advance_clock`]. Timers in the Backend's memory
/// follow the machine's clock all the same.
pub(crate) async fn on_each_database_with_set_clock(
    adjust: impl Fn(&mut Settings),
    test: impl AsyncFn(&TestBackend),
) {
    for database in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        let service = TestBackend::start_with_set_clock(database, &adjust).await;
        test(&service).await;
        service.finish().await;
    }
}

impl TestBackend {
    /// A Backend on an empty database.
    pub(crate) async fn start(database: TestDatabase, adjust: impl Fn(&mut Settings)) -> Self {
        let issuer = FakeIssuer::start(&TaskTracker::new()).await;
        let store = Store::new(database.open(), ProcessClock::System);
        store.migrate().await.unwrap();
        Self::start_on(store, ProcessClock::System, database, issuer, adjust).await
    }

    /// A Backend on an empty database whose clock stands still but for [`TestBackend::advance_clock`].
    pub(crate) async fn start_with_set_clock(database: TestDatabase, adjust: impl Fn(&mut Settings)) -> Self {
        let clock = ProcessClock::manual_at(CLOCK_START);
        let store = Store::new(database.open(), clock.clone());
        store.migrate().await.unwrap();
        if let Db::Postgres(pools) = database.open() {
            pools.write.execute(SET_CLOCK).await.unwrap();
        }
        let issuer = FakeIssuer::start(&TaskTracker::new()).await;
        Self::start_on(store, clock, database, issuer, adjust).await
    }

    /// A Backend on an open store; `clock` is the store's, and `database` is what [`TestBackend::finish`] drops.
    pub(crate) async fn start_on(
        store: Store,
        clock: ProcessClock,
        database: TestDatabase,
        issuer: FakeIssuer,
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
        Self { url, store, issuer, http, stop, serving, clock, database }
    }

    /// Another Backend on the same database and the same issuer. The database is dropped by the first Backend.
    pub(crate) async fn start_another(&self, adjust: impl Fn(&mut Settings)) -> Self {
        let store = Store::new(self.database.open(), self.clock.clone());
        store.migrate().await.unwrap();
        Self::start_on(store, self.clock.clone(), TestDatabase::sqlite(), self.issuer.clone(), adjust).await
    }

    /// The database, to be opened in another way.
    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// Moves the clock of [`on_each_database_with_set_clock`].
    pub(crate) async fn advance_clock(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.clock.advance(micros);
        if self.is_postgres() {
            self.execute_sql(format!("update test_clock set at = at + {micros}")).await;
        }
    }

    /// Shuts it down, asserts that every accepted task is counted in one state, and drops the database.
    pub(crate) async fn finish(self) {
        let (store, database, _) = self.shut_down().await;
        assert!(store.counts().await.unwrap().is_balanced());
        store.close().await;
        drop(database);
    }

    /// Shuts it down: requests that wait are answered, and the service returns. What is left can serve another Backend.
    pub(crate) async fn shut_down(self) -> (Store, TestDatabase, FakeIssuer) {
        self.stop.cancel();
        drop(self.http);
        self.serving.await.unwrap();
        (self.store, self.database, self.issuer)
    }

    /// A new user with the role User.
    pub(crate) fn user(&self) -> ApiClient<'_> {
        self.with_roles(&["User"])
    }

    /// A new account with the role Worker.
    pub(crate) fn worker(&self) -> ApiClient<'_> {
        self.with_roles(&["Worker"])
    }

    /// A new user with the roles User and Admin.
    pub(crate) fn admin(&self) -> ApiClient<'_> {
        self.with_roles(&["User", "Admin"])
    }

    fn with_roles(&self, roles: &[&str]) -> ApiClient<'_> {
        self.with_token(self.issuer.token(&Uuid::new_v4().to_string(), roles))
    }

    /// A client with this bearer token.
    pub(crate) fn with_token(&self, token: String) -> ApiClient<'_> {
        ApiClient { url: &self.url, http: &self.http, token: Some(token), instance: Uuid::new_v4() }
    }

    /// A client without a token.
    pub(crate) fn anonymous(&self) -> ApiClient<'_> {
        ApiClient { url: &self.url, http: &self.http, token: None, instance: Uuid::nil() }
    }

    /// Submits tasks through the store: no waiting request is notified. Their ids.
    pub(crate) async fn submit_to_store(&self, owner: Uuid, task_type: &str, count: usize) -> Vec<String> {
        let submission = || Submission {
            not_before: domain::NotBefore::Submission,
            id: self.store.new_task_id(),
            owner: OwnerId(owner),
            type_name: task_type.parse().unwrap(),
            queue: "default".parse().unwrap(),
            parameters: None,
            ttl: Ttl::DEFAULT_MAX,
            start_within: Ttl::DEFAULT_MAX,
            trace: None,
            options: domain::TaskOptions::default(),
        };
        let batch: Vec<Submission> = (0..count).map(|_| submission()).collect();
        self.store.submit(&batch).await.unwrap();
        batch.iter().map(|task| task.id.to_string()).collect()
    }

    /// Executes statements on the database that the Backend would not.
    pub(crate) async fn execute_sql(&self, text: String) {
        let text = AssertSqlSafe(text);
        if self.is_postgres() {
            PgConnection::connect(&self.database.url).await.unwrap().execute(text).await.unwrap();
        } else {
            SqliteConnection::connect(&self.database.url).await.unwrap().execute(text).await.unwrap();
        }
    }

    /// Returns when the Backend is connected to others on its database, which wakes all its waiting requests once.
    pub(crate) async fn peer_connection_is_up(&self) {
        if !self.is_postgres() {
            return;
        }
        let database = PgConnection::connect(&self.database.url).await.unwrap();
        let database = Mutex::new(database);
        let is_up = async || {
            let connected = "select 1 from pg_stat_activity where datname = current_database()
                and application_name like 'tasker %' and query like '%pg_notify%'";
            database.lock().await.fetch_optional(connected).await.unwrap().is_some()
        };
        until("the Backend has published a notification", is_up).await;
    }

    /// Whether the database is PostgreSQL; otherwise it is SQLite.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.database.open(), Db::Postgres(_))
    }

    /// A GET request without a token.
    pub(crate) fn get(&self, path: &str) -> ApiRequest {
        self.anonymous().get(path)
    }
}

fn settings(identity_url: &str) -> Settings {
    Settings {
        identity_url: identity_url.to_owned(),
        identity_ca: None,
        check_period: LONGER_THAN_ANY_TEST,
        resend_period: LONGER_THAN_ANY_TEST,
        slow_check: LONGER_THAN_ANY_TEST,
        default_ttl: None,
        max_ttl: Ttl::DEFAULT_MAX,
        start_within: Ttl::DEFAULT_MAX,
        keep_ended: LONGER_THAN_ANY_TEST,
        worker_lost: LONGER_THAN_ANY_TEST,
        cors_origins: vec!["https://pages.example".to_owned()],
        trusted_proxies: TrustedProxies::default(),
        max_parameters: 256 * 1024,
        max_result: 1024 * 1024,
        max_unfinished_per_owner: None,
        requests_per_minute: None,
        is_sampled: true,
        request_timeout: Duration::from_secs(10),
    }
}

/// ECHO takes any parameters, LOGIN has a strict schema, BRIEF has its own bounds of the time to live.
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
