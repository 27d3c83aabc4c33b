//! The probes of `tasker config check` and `tasker doctor`: each tries something that the settings name, and says what was
//! found, or what is wrong and how to correct it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use broker::{Broker, Role as BrokerRole};
use clap::{Args, ValueEnum};
use client::{Client, IdentityClient};
use database::{DatabaseError, Db, ProcessClock, SchemaPart};
use domain::QueueName;
use identity::IDENTITY_SCHEMA;
use store::{Store, TASKS_SCHEMA};
use telemetry::error_chain;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::commands::output::ReportFormat;
use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::sections::Config;
use crate::config::tls::CertificateFiles;
use crate::config::values::{Address, directory_of};
use crate::observability::{logging, trace_export};
use crate::server::tls::Tls;
use crate::services;
use crate::services::worker_operations;

/// The time limit of each probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of commands that check settings.
#[derive(Debug, Args)]
pub struct Scope {
    /// The service that runs on this machine
    #[arg(value_enum, default_value_t = Service::All)]
    pub service: Service,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    pub output: ReportFormat,
    #[command(flatten)]
    pub sources: Sources,
}

/// The service whose settings are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// Every service
    All,
    /// A Backend
    Backend,
    /// An Identity
    Identity,
    /// A worker
    Worker,
}

/// How the services of an installation run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deployment {
    /// Each as a process, with the settings of its own.
    Apart,
    /// In one `tasker up`, whose worker has credentials that never leave the process.
    AllInOne,
}

/// What a probe found (`Ok`), or what is wrong and how to correct it (`Err`).
pub type ProbeResult = Result<String, String>;

impl Service {
    /// Whether this is `service` or all of them.
    pub fn includes(self, service: Self) -> bool {
        self == Self::All || self == service
    }
}

/// Checks the settings themselves, without any connection: everything that a start would refuse, all at once.
pub fn check_settings(config: &Config, service: Service, environment: &Environment) -> ProbeResult {
    let mut errors = Vec::new();
    let mut collect =
        |checked: Result<(), ConfigError>| errors.extend(checked.err().map(|error| error.to_string()));
    let load =
        |files: Result<Option<CertificateFiles>, ConfigError>| files?.map(Tls::load).transpose().map(drop);
    let Config { database, backend, identity, worker, metrics, .. } = config;
    if service != Service::Worker {
        collect(database.check());
    }
    if service.includes(Service::Backend) {
        collect(config.check_backend());
        collect(load(backend.tls()));
        collect(backend.authorities().map(drop));
    }
    if service.includes(Service::Identity) {
        collect(config.check_identity());
        collect(load(identity.tls()));
        collect(config.identity_clients().map(drop));
        collect(identity.key_file.as_deref().map_or(Ok(()), check_key_file));
    }
    if service.includes(Service::Worker) {
        collect(worker.credentials().map(drop));
        collect(worker.simulated_work().map(drop));
        collect(worker.slots().map(drop));
        collect(worker.steal_after().map(drop));
        collect(worker.authorities().map(drop));
        collect(worker_operations::declared(worker, environment).map(drop));
    }
    collect(metrics.check());
    collect(load(metrics.tls()));
    collect(trace_export::check(&config.traces));
    collect(logging::check(&config.log));
    errors.dedup();
    if errors.is_empty() { Ok("the settings are valid".to_owned()) } else { Err(errors.join("; ")) }
}

fn check_key_file(path: &Path) -> Result<(), ConfigError> {
    identity::check_key_file(path)
        .map_err(|error| ConfigError::new(format!("identity.key_file: {}", error_chain(&error))))
}

/// Probes everything that the service connects to except databases, and passes each result to `report`. Returns the broker
/// if Kafka was reached: it then knows the topics of `queues`.
pub async fn dependencies(
    config: &Config,
    service: Service,
    deployment: Deployment,
    queues: &BTreeSet<QueueName>,
    mut report: impl FnMut(&'static str, ProbeResult),
) -> Option<Broker> {
    let mut reached = None;
    if service != Service::Identity && config.kafka.bootstrap_servers.is_some() {
        let (broker, result) = match kafka(config, queues).await {
            Ok((broker, message)) => (Some(broker), Ok(message)),
            Err(message) => (None, Err(message)),
        };
        reached = broker;
        report("kafka", result);
    }
    if service.includes(Service::Backend) {
        report("backend.identity_url", identity(config).await);
    }
    if service.includes(Service::Worker) {
        match deployment {
            Deployment::Apart => report("worker", worker(config).await),
            Deployment::AllInOne => report("account local", local_account(config).await),
        }
    }
    if let Some(endpoint) = config.traces.endpoint.clone().filter(|_| service != Service::Identity) {
        let settings = config.traces.clone();
        let result = spawn_blocking(move || trace_export::probe(&endpoint, &settings)).await;
        report("traces.endpoint", result.expect("probing the collector does not panic"));
    }
    reached
}

/// Probes the database of tasks, and returns it open if it answers.
pub async fn tasks_database(config: &Config) -> (ProbeResult, Option<Db>) {
    database("tasks", TASKS_SCHEMA, config.open_tasks(), config.database_url().ok()).await
}

/// Probes the database of accounts, and returns it open if it answers.
pub async fn accounts_database(config: &Config) -> (ProbeResult, Option<Db>) {
    let url = config.identity_database_url().ok();
    database("accounts", IDENTITY_SCHEMA, config.open_accounts(), url.as_deref()).await
}

/// Probes a database of `contents`. A SQLite file that does not exist is not opened, because that would create it.
async fn database(
    contents: &'static str,
    part: SchemaPart,
    opened: Result<Db, ConfigError>,
    url: Option<&str>,
) -> (ProbeResult, Option<Db>) {
    let db = match opened {
        Ok(db) => db,
        Err(error) => return (Err(error.to_string()), None),
    };
    if let Some(path) = url.and_then(Db::sqlite_path).map(Path::new).filter(|path| !path.exists()) {
        let directory = directory_of(path);
        let result = if directory.is_dir() {
            Ok(format!("{} does not exist yet; the first start creates it", path.display()))
        } else {
            Err(format!("there is no directory {}: create it", directory.display()))
        };
        return (result, None);
    }
    let answered = ping(contents, part, &db).await;
    if answered.is_err() {
        close(db).await;
        return (answered, None);
    }
    (answered, Some(db))
}

/// The queues of the operations in a database of tasks; none if it has no tables yet.
pub async fn queues(db: &Db) -> BTreeSet<QueueName> {
    let catalogue = Store::new(db.clone(), ProcessClock::System).catalogue().await.unwrap_or_default();
    catalogue.into_iter().map(|operation| operation.queue).collect()
}

/// Closes a database, waiting no longer than the time limit of a probe.
pub async fn close(db: Db) {
    drop(timeout(PROBE_TIMEOUT, db.close()).await);
}

async fn ping(contents: &'static str, part: SchemaPart, db: &Db) -> ProbeResult {
    match timeout(PROBE_TIMEOUT, part.check_preconditions(db)).await {
        Ok(Ok(())) => Ok(format!("the database of {contents} answers")),
        // The driver's error says why there is no connection; of a refused one it does not say what to correct.
        Ok(Err(error @ DatabaseError::UnmetPrecondition(_))) => Err(error.to_string()),
        Ok(Err(error)) if error.is_unavailable() || matches!(db, Db::Sqlite(_)) => Err(error_chain(&error)),
        Ok(Err(error)) => {
            Err(format!("{}: are the account, its password and the database right?", error_chain(&error)))
        }
        Err(_) => Err(format!("no answer within {} s: is its host right?", PROBE_TIMEOUT.as_secs())),
    }
}

/// Connects to Kafka and lists its topics. Nothing is created or sent.
async fn kafka(config: &Config, queues: &BTreeSet<QueueName>) -> Result<(Broker, String), String> {
    let settings = config.kafka.settings().map_err(|error| error.to_string())?;
    let settings = settings.ok_or("kafka.bootstrap_servers is not set")?;
    let broker = Broker::open(settings).map_err(|error| error_chain(&error))?;
    broker.declare_queues([&QueueName::default()].into_iter().chain(queues));
    let (stop, topic_manager) = (CancellationToken::new(), TaskTracker::new());
    topic_manager.spawn(broker.clone().manage_topics(BrokerRole::Worker, stop.clone()));
    let is_up = timeout(PROBE_TIMEOUT, broker.wait_until_up()).await.is_ok();
    let degraded_reasons = broker.degraded_reasons().join("; ");
    stop.cancel();
    topic_manager.close();
    topic_manager.wait().await;
    if degraded_reasons.is_empty() {
        Ok((broker, "the brokers answer, and the topics exist".to_owned()))
    } else if !is_up {
        Err(format!("{degraded_reasons}: are kafka.bootstrap_servers and the network path to them right?"))
    } else if config.kafka.provision {
        Ok((broker, format!("the brokers answer; {degraded_reasons}, and a Backend will create it")))
    } else {
        Err(format!("{degraded_reasons}: create it, or set kafka.provision = true"))
    }
}

/// Asks Identity for its issuer, and compares that with `backend.identity_url`.
async fn identity(config: &Config) -> ProbeResult {
    let address = config.backend.identity_url.to_string();
    let ca = config.backend.authorities().map_err(|error| error.to_string())?;
    let identity = IdentityClient::new(&address, ca.as_deref()).map_err(|error| error_chain(&error))?;
    match identity.issuer().await {
        Ok(issuer) if issuer == address => Ok(format!("Identity answers at {address}")),
        Ok(issuer) => Err(format!(
            "the issuer of Identity's tokens is {issuer}, so the Backend would refuse them: set backend.identity_url = \
             \"{issuer}\", or set identity.issuer"
        )),
        Err(error) => Err(format!("{}: is Identity running there?", error_chain(&error))),
    }
}

/// A client of each Backend of the section `[worker]`, with the section's credentials.
fn clients_of_worker(config: &Config) -> Result<Vec<Client>, String> {
    let credentials = services::worker::credentials(&config.worker).map_err(|error| error.to_string())?;
    let ca = config.worker.authorities().map_err(|error| error.to_string())?;
    let client = |address: &Address| {
        let (backends, credentials, ca) = (vec![address.to_string()], credentials.clone(), ca.clone());
        Client::new(client::Settings { backends, credentials, ca }).map_err(|error| error_chain(&error))
    };
    config.worker.backend_url.iter().map(client).collect()
}

/// Gets a token for the account `local` of a `tasker up`, and lists the operations with it.
async fn local_account(config: &Config) -> ProbeResult {
    for client in clients_of_worker(config)? {
        let answer = client.operations().await;
        answer.map_err(|error| format!("{}: does `tasker up` run there?", error_chain(&error)))?;
    }
    Ok("it signs in, and the Backend accepts it".to_owned())
}

/// Gets a token with the worker's credentials, and lists the workers with it, at each Backend.
async fn worker(config: &Config) -> ProbeResult {
    let clients = clients_of_worker(config)?;
    for client in &clients {
        client.workers().await.map_err(|error| {
            format!(
                "{}: are worker.identity_url, worker.backend_url and the credentials right?",
                error_chain(&error)
            )
        })?;
    }
    Ok(match clients.len() {
        1 => "it signs in, and the Backend accepts it as a worker".to_owned(),
        backends => format!("it signs in, and each of {backends} Backends accepts it as a worker"),
    })
}
