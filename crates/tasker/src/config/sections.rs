//! Every setting by section: the keys of `tasker.toml`, their types and defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use domain::limits::{DEFAULT_MAX_PARAMETERS_BYTES, DEFAULT_MAX_RESULT_BYTES};
use domain::{Ttl, WorkerName};
use identity::OpenRegistration;
use secrecy::SecretString;
use serde::Deserialize;
use worker::{MeansPreference, OperationDeclaration};

use crate::config::kafka::Kafka;
use crate::config::oauth_client::Client;
use crate::config::values::{Address, AddressList, Hosts, Proxies, Ratio, Rotate};

/// The whole configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The database of tasks.
    pub database: Database,
    /// The Kafka brokers, if any.
    pub kafka: Kafka,
    /// The Backend: the REST API.
    pub backend: Backend,
    /// Identity: accounts and tokens.
    pub identity: Identity,
    /// The worker: it runs tasks.
    pub worker: Worker,
    /// The log of the process.
    pub log: Log,
    /// The Prometheus metrics of the process.
    pub metrics: Metrics,
    /// The export of traces.
    pub traces: Traces,
}

/// The section `[database]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://…` or `sqlite:PATH`. A secret: it may hold a password.
    pub url: Option<SecretString>,
    /// The most connections that this process opens to each PostgreSQL database.
    pub max_connections: NonZeroU32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, max_connections: non_zero_u32(17) }
    }
}

/// The section `[backend]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backend {
    /// The address and port on which the API listens.
    pub listen: SocketAddr,
    /// The certificate of the listener, PEM. With it the listener speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Allows a listener without TLS where other machines can reach it.
    pub allow_plaintext: bool,
    /// The host names under which clients reach the listener.
    pub allowed_hosts: Hosts,
    /// The most connections that one address (IPv6: one /64) may have open at a time.
    pub max_connections_per_address: NonZeroU32,
    /// The issuer of access tokens; its public keys are fetched from there.
    pub identity_url: Address,
    /// After how long a task that is still ready gets another Kafka ticket.
    pub resend_period_ms: NonZeroU64,
    /// The authorities trusted for Identity. Absent: the platform's.
    pub tls_ca: Option<PathBuf>,
    /// The longest pause between two checks for tasks that are due.
    pub check_period_ms: NonZeroU64,
    /// The time to live of a task submitted without one. Absent: a submission must name it.
    pub default_ttl_ms: Option<Ttl>,
    /// The longest time to live that a submission may name.
    pub max_ttl_ms: Ttl,
    /// How long a task may wait for a worker before it is cancelled.
    pub start_within_ms: Ttl,
    /// How many days a task is kept, counted from its submission. A task that has not ended is always kept.
    pub keep_ended_days: NonZeroU32,
    /// How long after its last heartbeat a worker is declared lost.
    pub worker_lost_ms: NonZeroU64,
    /// The origins of web pages that may call the API from a browser (CORS).
    pub cors_origins: Vec<String>,
    /// The reverse proxies that name the address of a client: addresses and networks.
    pub trusted_proxies: Proxies,
    /// The largest parameters of a task.
    pub max_parameters_bytes: NonZeroUsize,
    /// The largest result of a task.
    pub max_result_bytes: NonZeroUsize,
    /// How many unfinished tasks an owner may have; 0: any number.
    pub max_unfinished_per_owner: u32,
    /// How many requests a caller may send in a minute, those of workers aside; 0: any number.
    pub requests_per_minute: u32,
}

impl Default for Backend {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            tls_cert: None,
            tls_key: None,
            allow_plaintext: false,
            allowed_hosts: Hosts::default(),
            max_connections_per_address: non_zero_u32(1000),
            identity_url: address("http://127.0.0.1:8081"),
            resend_period_ms: non_zero_u64(5000),
            tls_ca: None,
            check_period_ms: non_zero_u64(1000),
            default_ttl_ms: None,
            max_ttl_ms: Ttl::DEFAULT_MAX,
            start_within_ms: Ttl::DEFAULT_MAX,
            keep_ended_days: non_zero_u32(30),
            worker_lost_ms: non_zero_u64(10_000),
            cors_origins: Vec::new(),
            trusted_proxies: Proxies::default(),
            max_parameters_bytes: non_zero_usize(DEFAULT_MAX_PARAMETERS_BYTES),
            max_result_bytes: non_zero_usize(DEFAULT_MAX_RESULT_BYTES),
            max_unfinished_per_owner: 100_000,
            requests_per_minute: 0,
        }
    }
}

/// The section `[identity]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// The address and port on which pages and token endpoint listen.
    pub listen: SocketAddr,
    /// The certificate of the listener, PEM. With it the listener speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Allows a listener without TLS where other machines can reach it.
    pub allow_plaintext: bool,
    /// The host names under which clients reach the listener.
    pub allowed_hosts: Hosts,
    /// The most connections that one address (IPv6: one /64) may have open at a time.
    pub max_connections_per_address: NonZeroU32,
    /// The public address, which tokens name as their issuer. Absent: the loopback address of the listener.
    pub issuer: Option<Address>,
    /// The database of accounts. Absent: `database.url`; with SQLite the file `identity.db` in the same directory.
    pub database_url: Option<SecretString>,
    /// Who may register without a setup link or an invitation.
    pub open_registration: OpenRegistration,
    /// The smallest number of characters of a password.
    pub min_password_length: usize,
    /// How long an access token is valid.
    pub access_token_ttl_s: NonZeroU64,
    /// The file of the key that encrypts the signing keys. Absent: `identity.key`, with SQLite in the database's directory.
    pub key_file: Option<PathBuf>,
    /// OAuth clients with a secret of their own, such as workers.
    pub clients: Vec<Client>,
    /// The origins of web pages that may call the API and the endpoints of OAuth from a browser (CORS).
    pub cors_origins: Vec<String>,
    /// The reverse proxies that name the address of a client: addresses and networks.
    pub trusted_proxies: Proxies,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            listen: loopback(8081),
            tls_cert: None,
            tls_key: None,
            allow_plaintext: false,
            allowed_hosts: Hosts::default(),
            max_connections_per_address: non_zero_u32(1000),
            issuer: None,
            database_url: None,
            open_registration: OpenRegistration::default(),
            min_password_length: 8,
            access_token_ttl_s: non_zero_u64(3600),
            key_file: None,
            clients: Vec::new(),
            cors_origins: Vec::new(),
            trusted_proxies: Proxies::default(),
        }
    }
}

/// The section `[worker]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// The worker's unique name. Absent: host name, process id and a random part.
    pub name: Option<WorkerName>,
    /// How many tasks run at once; at most [`domain::limits::MAX_SLOTS`].
    pub slots: NonZeroU32,
    /// How long a slot pauses after a task.
    pub delay_between_tasks_ms: u64,
    /// With Kafka: how long a task waits in another worker's partition before a free slot takes it. 0: never.
    pub steal_after_ms: u64,
    /// The addresses of the Backends: the first is used until it is gone, then the next.
    pub backend_url: AddressList,
    /// The address of Identity, which issues the worker's tokens.
    pub identity_url: Address,
    /// The authorities trusted for both. Absent: the platform's.
    pub tls_ca: Option<PathBuf>,
    /// An account with the role Worker.
    pub username: Option<String>,
    /// The account's password.
    pub password: Option<SecretString>,
    /// A client of `identity.clients`, instead of an account.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<SecretString>,
    /// The period of heartbeats.
    pub heartbeat_ms: NonZeroU64,
    /// How long a worker that was told to stop lets its tasks finish before it releases them.
    pub drain_ms: u64,
    /// The shortest and the longest time that the built-in operations simulate work.
    pub simulate_work_ms: [u64; 2],
    /// The operations that these settings declare.
    pub operations: Vec<OperationDeclaration>,
    /// The directory with a file for each further declaration.
    pub operations_directory: Option<PathBuf>,
    /// By what means the processes of programs are killed: all that the host allows, or fewer.
    pub stop_means: MeansPreference,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            name: None,
            slots: non_zero_u32(8),
            delay_between_tasks_ms: 0,
            steal_after_ms: 300,
            backend_url: address("http://127.0.0.1:8080").into(),
            identity_url: address("http://127.0.0.1:8081"),
            tls_ca: None,
            username: None,
            password: None,
            client_id: None,
            client_secret: None,
            heartbeat_ms: non_zero_u64(2000),
            drain_ms: 8_000,
            simulate_work_ms: [500, 1500],
            operations: Vec::new(),
            operations_directory: None,
            stop_means: MeansPreference::Auto,
        }
    }
}

/// The section `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The level (`info`), also per target: `info,backend=debug`.
    pub level: String,
    /// The form of a line.
    pub format: Format,
    /// The log file. Absent: standard error.
    pub file: Option<PathBuf>,
    /// When the file is rotated.
    pub rotate: Rotate,
    /// How many rotated files are kept.
    pub keep: u32,
}

impl Default for Log {
    fn default() -> Self {
        let (level, rotate) = ("info".to_owned(), Rotate::default());
        Self { level, format: Format::Text, file: None, rotate, keep: 7 }
    }
}

/// The section `[metrics]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// The address and port of `/metrics`. Absent: nothing is recorded.
    pub listen: Option<SocketAddr>,
    /// The certificate of the listener, PEM. With it the listener speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    pub tls_key: Option<PathBuf>,
    /// Allows a listener without TLS where other machines can reach it.
    pub allow_plaintext: bool,
    /// The host names under which clients reach the listener.
    pub allowed_hosts: Hosts,
}

/// The section `[traces]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// The collector's base URL (OTLP over HTTP). Absent: nothing is recorded.
    pub endpoint: Option<Address>,
    /// The authorities trusted for the collector. Absent: the platform's.
    pub tls_ca: Option<PathBuf>,
    /// Headers of each request to the collector: `name=value`, separated by commas.
    pub headers: Option<SecretString>,
    /// The ratio of recorded traces among those that begin here. For others the caller decides.
    pub sample: Ratio,
}

impl Default for Traces {
    fn default() -> Self {
        Self { endpoint: None, tls_ca: None, headers: None, sample: Ratio::ONE }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text for people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn address(text: &str) -> Address {
    text.parse().expect("a valid default address")
}

fn non_zero_u64(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("a positive default")
}

fn non_zero_u32(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("a positive default")
}

fn non_zero_usize(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("a positive default")
}
