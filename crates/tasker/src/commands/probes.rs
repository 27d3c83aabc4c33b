//! The probes behind `config check` and `doctor`: what the settings name is tried; what is wrong is said with how to mend it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use broker::{Broker, Role as BrokerRole};
use clap::{Args, ValueEnum};
use client::{Client, Identity};
use database::{Clock, Db};
use domain::QueueName;
use store::Store;
use telemetry::error_chain;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::config::show::Form;
use crate::config::{Config, ConfigError, Sources, directory_of};
use crate::observability::{logging, trace_export};
use crate::server::tls::{Files, Tls};
use crate::services;

/// How long each thing may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose settings are looked at, and how that is told.
#[derive(Debug, Args)]
pub struct Scope {
    /// The role that this machine plays
    #[arg(value_enum, default_value_t = Role::All)]
    pub role: Role,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub output: Form,
    #[command(flatten)]
    pub sources: Sources,
}

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Every role's.
    All,
    /// Those of a Backend.
    Backend,
    /// Those of an Identity.
    Identity,
    /// Those of a worker.
    Worker,
}

/// How a probe ended: what was found, or what is wrong and how to mend it.
pub type Found = Result<String, String>;

impl Role {
    /// Whether it is that role, or all of them.
    pub fn has(self, role: Self) -> bool {
        self == Self::All || self == role
    }
}

/// The rules that need nobody else: all that a start would refuse, and all of it at once.
pub fn rules(config: &Config, role: Role) -> Found {
    let mut broken = Vec::new();
    let mut hear =
        |checked: Result<(), ConfigError>| broken.extend(checked.err().map(|error| error.to_string()));
    let shown = |files: Result<Option<Files>, ConfigError>| files?.map(Tls::load).transpose().map(drop);
    let Config { backend, identity, worker, metrics, .. } = config;
    if role.has(Role::Backend) {
        hear(config.check_backend());
        hear(shown(backend.tls()));
        hear(backend.authorities().map(drop));
    }
    if role.has(Role::Identity) {
        hear(config.check_identity());
        hear(shown(identity.tls()));
        hear(config.identity_clients().map(drop));
        hear(identity.key_file.as_deref().map_or(Ok(()), key_file));
    }
    if role.has(Role::Worker) {
        hear(worker.credentials().map(drop));
        hear(worker.simulated_work().map(drop));
        hear(worker.steal_after().map(drop));
        hear(worker.authorities().map(drop));
    }
    hear(metrics.check());
    hear(shown(metrics.tls()));
    hear(trace_export::check(&config.traces));
    hear(logging::check(&config.log));
    broken.dedup();
    if broken.is_empty() { Ok("they are sound".to_owned()) } else { Err(broken.join("; ")) }
}

fn key_file(path: &Path) -> Result<(), ConfigError> {
    identity::check_key_file(path)
        .map_err(|error| ConfigError::new(format!("identity.key_file: {}", error_chain(&error))))
}

/// Tries whatever the role asks, and tells each as it ends. What was seen of Kafka comes back: the topics of these queues.
pub async fn neighbours(
    config: &Config,
    role: Role,
    queues: &BTreeSet<QueueName>,
    mut tell: impl FnMut(&'static str, Found),
) -> Option<Broker> {
    let mut seen = None;
    if role != Role::Identity && config.kafka.bootstrap_servers.is_some() {
        let (broker, said) = match kafka(config, queues).await {
            Ok((broker, said)) => (Some(broker), Ok(said)),
            Err(said) => (None, Err(said)),
        };
        seen = broker;
        tell("kafka", said);
    }
    if role.has(Role::Backend) {
        tell("backend.identity_url", identity(config).await);
    }
    if role.has(Role::Worker) {
        tell("worker", worker(config).await);
    }
    if let Some(endpoint) = config.traces.endpoint.clone().filter(|_| role != Role::Identity) {
        let settings = config.traces.clone();
        let asked = spawn_blocking(move || trace_export::ask(&endpoint, &settings)).await;
        tell("traces.endpoint", asked.expect("the collector is asked without a panic"));
    }
    seen
}

/// The database of tasks, open if it answers.
pub async fn tasks(config: &Config) -> (Found, Option<Db>) {
    database("tasks", config.open_tasks(), config.database_url().ok()).await
}

/// The database of accounts, open if it answers.
pub async fn accounts(config: &Config) -> (Found, Option<Db>) {
    let url = config.identity_database_url().ok();
    database("accounts", config.open_accounts(), url.as_deref()).await
}

/// A SQLite file that is not there is not asked: that would make it.
async fn database(
    of: &'static str,
    opened: Result<Db, ConfigError>,
    url: Option<&str>,
) -> (Found, Option<Db>) {
    let db = match opened {
        Ok(db) => db,
        Err(error) => return (Err(error.to_string()), None),
    };
    if let Some(path) = url.and_then(Db::sqlite_path).map(Path::new).filter(|path| !path.exists()) {
        let directory = directory_of(path);
        let found = if directory.is_dir() {
            Ok(format!("{} is made at the first start", path.display()))
        } else {
            Err(format!("there is no directory {}: make it", directory.display()))
        };
        return (found, None);
    }
    let answered = answers(of, &db).await;
    if answered.is_err() {
        close(db).await;
        return (answered, None);
    }
    (answered, Some(db))
}

/// The queues of the catalogue; none where there is no catalogue yet.
pub async fn queues(db: &Db) -> BTreeSet<QueueName> {
    let catalogue = Store::new(db.clone(), Clock::System).catalogue().await.unwrap_or_default();
    catalogue.into_iter().map(|operation| operation.queue).collect()
}

/// Closes it, however long it would take.
pub async fn close(db: Db) {
    drop(timeout(PATIENCE, db.close()).await);
}

/// Whether a database answers.
async fn answers(of: &'static str, db: &Db) -> Found {
    match timeout(PATIENCE, db.ping()).await {
        Ok(Ok(())) => Ok(format!("the database of {of} answers")),
        // The driver says itself what keeps it from the server; of a refusal it says only that there was one.
        Ok(Err(error)) if error.is_unavailable() || matches!(db, Db::Sqlite(_)) => Err(error_chain(&error)),
        Ok(Err(error)) => {
            Err(format!("{}: are the account, its password and the database right?", error_chain(&error)))
        }
        Err(_) => Err(format!("no answer within {} s: is its host right?", PATIENCE.as_secs())),
    }
}

/// Kafka as it is, and what there is to say of it. Nothing is made or sent.
async fn kafka(config: &Config, queues: &BTreeSet<QueueName>) -> Result<(Broker, String), String> {
    let settings = config.kafka.settings().map_err(|error| error.to_string())?;
    let settings = settings.ok_or("there is none")?;
    let broker = Broker::open(settings).map_err(|error| error_chain(&error))?;
    broker.declare_queues([&QueueName::default()].into_iter().chain(queues));
    let (stop, keeper) = (CancellationToken::new(), TaskTracker::new());
    keeper.spawn(broker.clone().manage_topics(BrokerRole::Worker, stop.clone()));
    let is_up = timeout(PATIENCE, broker.wait_until_up()).await.is_ok();
    let degraded_reasons = broker.degraded_reasons().join("; ");
    stop.cancel();
    keeper.close();
    keeper.wait().await;
    if degraded_reasons.is_empty() {
        Ok((broker, "the brokers answer, and the topics are there".to_owned()))
    } else if !is_up {
        Err(format!("{degraded_reasons}: are kafka.bootstrap_servers and the way to them right?"))
    } else if config.kafka.provision {
        Ok((broker, format!("the brokers answer; {degraded_reasons}, and a Backend makes it")))
    } else {
        Err(format!("{degraded_reasons}: make it, or say kafka.provision = true"))
    }
}

async fn identity(config: &Config) -> Found {
    let address = config.backend.identity_url.to_string();
    let ca = config.backend.authorities().map_err(|error| error.to_string())?;
    let identity = Identity::at(&address, ca.as_deref()).map_err(|error| error_chain(&error))?;
    match identity.issuer().await {
        Ok(issuer) if issuer == address => Ok(format!("Identity answers at {address}")),
        Ok(issuer) => Err(format!(
            "Identity calls itself {issuer}, so no token of it would count: say backend.identity_url = \"{issuer}\", or set \
             identity.issuer"
        )),
        Err(error) => Err(format!("{}: is Identity running there?", error_chain(&error))),
    }
}

/// It signs in, and asks for the catalogue.
async fn worker(config: &Config) -> Found {
    let credentials = services::worker::credentials(&config.worker).map_err(|error| error.to_string())?;
    let ca = config.worker.authorities().map_err(|error| error.to_string())?;
    let settings = client::Settings { backend: config.worker.backend_url.to_string(), credentials, ca };
    let client = Client::new(settings).map_err(|error| error_chain(&error))?;
    match client.workers().await {
        Ok(_) => Ok("it signs in, and the Backend knows it as a worker".to_owned()),
        Err(error) => Err(format!(
            "{}: are worker.identity_url, worker.backend_url and its account right?",
            error_chain(&error)
        )),
    }
}
