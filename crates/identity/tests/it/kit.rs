//! The test kit: a running Identity on a database of its own, and an HTTP client for it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use database::{Db, Migration, ProcessClock, SchemaPart, on};
use identity::{Client, Identity, OpenRegistration, Role, Settings};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value;
use tempfile::TempDir;
use testkit::TestDatabase;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use web::client_address::TrustedProxies;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The time at which the clock of every test begins, in microseconds since 1970.
const START: i64 = 1_800_000_000 * SECOND;

/// A password that the policy accepts.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The secret of the client `robot`.
pub(crate) const ROBOT_SECRET: &str = "robots have secrets too";

/// An Identity that listens on a port of its own.
pub(crate) struct TestService {
    pub(crate) identity: Identity,
    pub(crate) settings: Settings,
    pub(crate) clock: ProcessClock,
    pub(crate) db: Db,
    pub(crate) base: String,
    http: reqwest::Client,
    scratch: TestDatabase,
    key_directory: TempDir,
    _server: JoinSet<()>,
}

/// Runs a test on SQLite and on PostgreSQL.
pub(crate) async fn each_database<T: Future<Output = ()>>(test: impl Fn(Arc<TestService>) -> T) {
    each_database_with(|_| (), test).await;
}

/// Runs a test on SQLite and on PostgreSQL with other settings.
pub(crate) async fn each_database_with<T: Future<Output = ()>>(
    change: impl Fn(&mut Settings),
    test: impl Fn(Arc<TestService>) -> T,
) {
    Box::pin(test(Arc::new(TestService::open(TestDatabase::sqlite(), &change).await))).await;
    Box::pin(test(Arc::new(TestService::open(TestDatabase::postgres().await, &change).await))).await;
}

/// The default settings of the tests, with one confidential client.
pub(crate) fn settings(issuer: &str, key_file: PathBuf) -> Settings {
    Settings {
        issuer: issuer.to_owned(),
        open_registration: OpenRegistration::Users,
        min_password_length: 8,
        access_token_ttl: Duration::from_hours(1),
        key_file,
        clients: vec![Client::with_own_tokens("robot", ROBOT_SECRET.to_owned().into(), vec![Role::Worker])],
        cors_origins: Vec::new(),
        // A test is the proxy of the clients in whose name it sends requests.
        trusted_proxies: TrustedProxies::parse(&[Ipv4Addr::LOCALHOST.to_string()]).unwrap(),
    }
}

/// The key file and the signing key of the first service of a test run. The other services start with them, since generating
/// a key takes half a second.
struct FirstKey {
    file: Vec<u8>,
    row: (String, Vec<u8>),
}

static FIRST_KEY: OnceCell<FirstKey> = OnceCell::const_new();

impl FirstKey {
    async fn create() -> Self {
        let (scratch, directory) = (TestDatabase::sqlite(), TempDir::new().unwrap());
        let (db, settings) = (scratch.open(), settings("http://127.0.0.1:1", directory.path().join("key")));
        Identity::open(db.clone(), settings.clone(), ProcessClock::manual_at(START)).await.unwrap();
        let row = on!(&db, read, pool =>
            sqlx::query_as("select kid, encrypted from signing_key").fetch_one(pool).await);
        Self { file: fs::read(settings.key_file).unwrap(), row: row.unwrap() }
    }

    /// Stores the key in an empty database and writes the key file.
    async fn install(&self, db: &Db, key_file: &Path) {
        TABLES.migrate(db).await.unwrap();
        let (kid, encrypted) = &self.row;
        let insert =
            "insert into signing_key (generation, kid, encrypted, signs_from) values (1, $1, $2, $3)";
        on!(db, write, pool =>
            sqlx::query(insert).bind(kid).bind(encrypted).bind(START).execute(pool).await.map(drop))
        .unwrap();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(key_file).unwrap();
        file.write_all(&self.file).unwrap();
    }
}

const TABLES: SchemaPart = SchemaPart {
    name: "identity",
    steps: &[Migration {
        postgres: include_str!("../../migrations/postgres/0001_identity.sql"),
        sqlite: include_str!("../../migrations/sqlite/0001_identity.sql"),
        oldest: 1,
    }],
    tables: "account",
};

impl TestService {
    async fn open(scratch: TestDatabase, change: impl Fn(&mut Settings)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let key_directory = TempDir::new().unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = settings(&issuer, key_directory.path().join("identity.key"));
        change(&mut settings);
        let db = scratch.open();
        FIRST_KEY.get_or_init(FirstKey::create).await.install(&db, &settings.key_file).await;
        Self::start(db, settings, ProcessClock::manual_at(START), listener, scratch, key_directory).await
    }

    /// Another Identity with the same database and key file, as after a restart or beside this one.
    pub(crate) async fn another(&self) -> Self {
        self.another_with(|_| ()).await
    }

    /// The same with other settings.
    pub(crate) async fn another_with(&self, change: impl Fn(&mut Settings)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (db, mut settings, clock) = (self.scratch.open(), self.settings.clone(), self.clock.clone());
        change(&mut settings);
        Self::start(db, settings, clock, listener, TestDatabase::sqlite(), TempDir::new().unwrap()).await
    }

    async fn start(
        db: Db,
        settings: Settings,
        clock: ProcessClock,
        listener: TcpListener,
        scratch: TestDatabase,
        key_directory: TempDir,
    ) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let identity = Identity::open(db.clone(), settings.clone(), clock.clone()).await.unwrap();
        let service = identity.router().into_make_service_with_connect_info::<SocketAddr>();
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, service).await.unwrap() });
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Self { identity, settings, clock, db, base, http, scratch, key_directory, _server: server }
    }

    /// The directory of the key file.
    pub(crate) fn key_directory(&self) -> PathBuf {
        self.key_directory.path().to_owned()
    }

    /// A second pool of connections to the same database.
    pub(crate) fn open_again(&self) -> Db {
        self.scratch.open()
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base)).form(form)
    }

    /// A POST from another client address.
    pub(crate) fn post_from(&self, from: Ipv4Addr, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.post(path, form).header("x-forwarded-for", from.to_string())
    }

    pub(crate) async fn page(&self, path: &str) -> String {
        self.get(path).send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).send().await.unwrap().json().await.unwrap()
    }

    /// Sends the registration form with additional fields.
    pub(crate) async fn register_with_fields(&self, name: &str, more: &[(&str, &str)]) -> Response {
        let mut form = vec![("Username", name), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD)];
        form.extend_from_slice(more);
        self.post("/Auth/Register", &form).send().await.unwrap()
    }

    /// Registers an account with the role `User`.
    pub(crate) async fn register(&self, name: &str) {
        let answer = self.register_with_fields(name, &[]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    }

    /// The token of a new setup link.
    pub(crate) async fn setup_token(&self) -> String {
        let link = self.identity.setup_link().await.unwrap().unwrap();
        link.split_once("setup=").unwrap().1.to_owned()
    }

    /// The number of accounts.
    pub(crate) async fn count_accounts(&self) -> i64 {
        let (count,): (i64,) = on!(&self.db, read, pool =>
            sqlx::query_as("select count(*) from account").fetch_one(pool).await)
        .unwrap();
        count
    }

    /// Registers the first administrator with a setup link.
    pub(crate) async fn register_admin(&self, name: &str) {
        let token = self.setup_token().await;
        let answer = self.register_with_fields(name, &[("IsAdmin", "true"), ("setup", &token)]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    }

    /// Uses up the limit of failed sign-ins of this network for an hour, as others in it might.
    pub(crate) async fn exhaust_sign_ins(&self, network: &str) {
        let exhaust = "insert into rate_limit (bucket, full_at) values ('sign-in ' || $1, $2) \
            on conflict (bucket) do update set full_at = excluded.full_at";
        let full_at = self.clock.now() + HOUR;
        on!(&self.db, write, pool => sqlx::query(exhaust).bind(network).bind(full_at).execute(pool).await.map(drop))
            .unwrap();
    }

    /// Requests a token by the password grant.
    pub(crate) async fn request_token(&self, name: &str, password: &str) -> Response {
        self.post("/connect/token", &password_grant(name, password)).send().await.unwrap()
    }

    /// An access token of this account.
    pub(crate) async fn token(&self, name: &str) -> String {
        let answer: Value = self.request_token(name, PASSWORD).await.json().await.unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// The roles in a token of this account.
    pub(crate) async fn roles(&self, name: &str) -> Vec<String> {
        serde_json::from_value(claims(&self.token(name).await)["roles"].clone()).unwrap()
    }

    /// Whether the account exists and gets a token with [`PASSWORD`].
    pub(crate) async fn can_sign_in(&self, name: &str) -> bool {
        self.request_token(name, PASSWORD).await.status() == StatusCode::OK
    }

    /// Signs in at the login page and returns the cookie.
    pub(crate) async fn sign_in(&self, name: &str) -> String {
        let form = [("Username", name), ("Password", PASSWORD), ("ReturnUrl", "/")];
        cookie(&self.post("/Auth/Login", &form).send().await.unwrap())
    }

    /// The token of an invitation that the account of this cookie creates.
    pub(crate) async fn invite(&self, session: &str, role: &str) -> String {
        let answer =
            self.post("/Auth/Invite", &[("Role", role)]).header(COOKIE, session).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        let page = answer.text().await.unwrap();
        let (_, link) = page.split_once("invitation=").unwrap();
        link.split('"').next().unwrap().to_owned()
    }
}

/// The form of the password grant, as the README of the original Tasker has it.
pub(crate) fn password_grant<'a>(name: &'a str, password: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "password"),
        ("username", name),
        ("password", password),
        ("client_id", "tasker_backend"),
        ("scope", "openid profile TaskerWebAPI"),
    ]
}

/// The `name=value` of the cookie that a response sets.
pub(crate) fn cookie(answer: &Response) -> String {
    let set = answer.headers().get(SET_COOKIE).expect("a cookie").to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// The `Location` of a redirect.
pub(crate) fn location(answer: &Response) -> &str {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()[LOCATION].to_str().unwrap()
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token, unverified.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
