//! Every setting, section by section: the names of `tasker.toml` and their defaults.

use secrecy::SecretString;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use domain::{Ttl, WorkerName};
use identity::{OpenRegistration, Role};
use serde::Deserialize;

use crate::config::kafka::Kafka;
use crate::config::values::{Address, Rotate, Share};

/// The whole configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where tasks are kept.
    pub database: Database,
    /// How workers hear of work.
    pub kafka: Kafka,
    /// The REST API.
    pub backend: Backend,
    /// Accounts and tokens.
    pub identity: Identity,
    /// What runs tasks.
    pub worker: Worker,
    /// What is said about all that.
    pub log: Log,
    /// What is counted and measured of it.
    pub metrics: Metrics,
    /// Where the steps of tasks are recorded.
    pub traces: Traces,
}

/// `[database]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://…` or `sqlite:PATH`; a secret, for it may hold a password.
    pub url: Option<SecretString>,
}

/// `[backend]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backend {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The certificate that it shows, PEM. With it the listener speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Listening without TLS where other machines can reach it.
    pub allow_plaintext: bool,
    /// The issuer whose tokens it accepts, and where it fetches that issuer's keys.
    pub identity_url: Address,
    /// How long a task stays ready before it is offered over Kafka again.
    pub resend_period_ms: NonZeroU64,
    /// The authorities that vouch for Identity. Absent: the platform's.
    pub tls_ca: Option<PathBuf>,
    /// How often it looks for what is due.
    pub check_period_ms: NonZeroU64,
    /// The life of a task whose submitter names none.
    pub default_ttl_ms: Option<Ttl>,
    /// The longest life.
    pub max_ttl_ms: Ttl,
    /// How long a task may wait for a worker.
    pub start_within_ms: Ttl,
    /// How long ended tasks are kept, counted from submission.
    pub keep_ended_days: NonZeroU32,
    /// A worker that has been silent for so long is lost.
    pub worker_lost_ms: NonZeroU64,
    /// Web pages of these origins may call the API from a browser.
    pub cors_origins: Vec<String>,
}

impl Default for Backend {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            tls_cert: None,
            tls_key: None,
            allow_plaintext: false,
            identity_url: address("http://127.0.0.1:8081"),
            resend_period_ms: positive(5000),
            tls_ca: None,
            check_period_ms: positive(1000),
            default_ttl_ms: None,
            max_ttl_ms: Ttl::DEFAULT_MAX,
            start_within_ms: Ttl::DEFAULT_MAX,
            keep_ended_days: count(30),
            worker_lost_ms: positive(10_000),
            cors_origins: Vec::new(),
        }
    }
}

/// `[identity]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The certificate that it shows, PEM. With it the listener speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Listening without TLS where other machines can reach it.
    pub allow_plaintext: bool,
    /// Its public address, as tokens name it. Absent: the loopback address where it listens.
    pub issuer: Option<Address>,
    /// Absent: `database.url`; with SQLite the file `identity.db` beside it.
    pub database_url: Option<SecretString>,
    /// Who may register without a proof.
    pub open_registration: OpenRegistration,
    /// The fewest characters of a password.
    pub min_password_length: usize,
    /// How long an access token lasts.
    pub access_token_ttl_s: NonZeroU64,
    /// The key that seals the signing keys. Absent: `identity.key`, with SQLite beside the database.
    pub key_file: Option<PathBuf>,
    /// Programs with a secret of their own: workers.
    pub clients: Vec<Client>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            listen: loopback(8081),
            tls_cert: None,
            tls_key: None,
            allow_plaintext: false,
            issuer: None,
            database_url: None,
            open_registration: OpenRegistration::default(),
            min_password_length: 8,
            access_token_ttl_s: positive(3600),
            key_file: None,
            clients: Vec::new(),
        }
    }
}

/// An entry of `identity.clients`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// The file that holds its `client_secret`.
    pub secret_file: PathBuf,
    /// What its tokens claim.
    pub roles: Vec<Role>,
}

/// `[worker]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Its name. Absent: host, process and a random part.
    pub name: Option<WorkerName>,
    /// How many tasks it runs at once.
    pub slots: NonZeroU32,
    /// How long a slot rests after a task.
    pub delay_between_tasks_ms: u64,
    /// With Kafka: a free slot takes over what has waited for so long elsewhere. 0: never.
    pub steal_after_ms: u64,
    /// Where the Backend is.
    pub backend_url: Address,
    /// Where tokens come from.
    pub identity_url: Address,
    /// The authorities that vouch for both. Absent: the platform's.
    pub tls_ca: Option<PathBuf>,
    /// An account with the role Worker, and its password.
    pub username: Option<String>,
    /// The account's password.
    pub password: Option<SecretString>,
    /// Or a client of `identity.clients`, and its secret.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<SecretString>,
    /// How often it says that it lives.
    pub heartbeat_ms: NonZeroU64,
    /// How long a stopping worker lets its tasks finish before it hands them back.
    pub drain_ms: u64,
    /// How long the built-in operations pretend to work: at least, at most.
    pub simulate_work_ms: [u64; 2],
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            name: None,
            slots: count(8),
            delay_between_tasks_ms: 0,
            steal_after_ms: 300,
            backend_url: address("http://127.0.0.1:8080"),
            identity_url: address("http://127.0.0.1:8081"),
            tls_ca: None,
            username: None,
            password: None,
            client_id: None,
            client_secret: None,
            heartbeat_ms: positive(2000),
            drain_ms: 30_000,
            simulate_work_ms: [30_000, 60_000],
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is worth a line: `info`, or finer: `info,backend=debug`.
    pub level: String,
    /// For eyes or for machines.
    pub format: Format,
    /// Where lines go; absent: to standard error.
    pub file: Option<PathBuf>,
    /// When the file is begun anew.
    pub rotate: Rotate,
    /// How many of its predecessors are kept.
    pub keep: u32,
}

impl Default for Log {
    fn default() -> Self {
        let (level, rotate) = ("info".to_owned(), Rotate::default());
        Self { level, format: Format::Text, file: None, rotate, keep: 7 }
    }
}

/// `[metrics]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Where `/metrics` is served; absent: nothing is counted.
    pub listen: Option<SocketAddr>,
    /// The certificate that it shows, PEM. With it the listener speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Listening without TLS where other machines can reach it.
    pub allow_plaintext: bool,
}

/// `[traces]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// The collector that takes OTLP over HTTP; absent: nothing is recorded.
    pub endpoint: Option<Address>,
    /// The authorities that vouch for it. Absent: the platform's.
    pub tls_ca: Option<PathBuf>,
    /// Headers for it, `name=value`, several with commas between them.
    pub headers: Option<SecretString>,
    /// Which part of the traces that begin here is recorded. Those that began elsewhere are as their caller says.
    pub sample: Share,
}

impl Default for Traces {
    fn default() -> Self {
        Self { endpoint: None, tls_ca: None, headers: None, sample: Share::ALL }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For eyes.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn address(text: &str) -> Address {
    text.parse().expect("our own address")
}

fn positive(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("our own number")
}

fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("our own number")
}
