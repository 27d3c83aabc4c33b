//! `tasker up`: Backend, Identity and a worker in one process, on loopback, without any settings.

use std::io::{IsTerminal, stdin};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use backend::Backend;
use clap::Args;
use client::{Client, Credentials};
use database::{Db, ProcessClock};
use identity::{Identity, Role};
use rand::distr::{Alphanumeric, SampleString};
use store::Store;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::Worker;

use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::sections::Config;
use crate::data_dir::{ACCOUNT, Addresses, DEFAULT_DATA_DIR, DataDir};
use crate::exit_code::Exit;
use crate::observability::Observability;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::process_lock::ProcessLock;
use crate::server::listener::Listener;
use crate::services::lifecycle::{Hangup, Stop, until_stopped};
use crate::services::sqlite_lock::lock_both;
use crate::services::worker_operations::{self, WorkerOperations};
use crate::services::{
    backend as backend_service, identity as identity_service, kafka, worker as worker_service,
};
use crate::terminal;

/// The `client_id` of the bundled worker. Its secret is generated at each start and never leaves the process.
const WORKER_CLIENT_ID: &str = "bundled-worker";

/// Options of `tasker up`.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// The directory for all data; one `tasker up` at a time can use it
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    data_dir: PathBuf,
    /// The address of the Backend [default: backend.listen, 127.0.0.1:8080]; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS:PORT")]
    backend_addr: Option<SocketAddr>,
    /// The address of Identity [default: identity.listen, 127.0.0.1:8081]; port 0 takes a free port
    #[arg(long, value_name = "ADDRESS:PORT")]
    identity_addr: Option<SocketAddr>,
    #[command(flatten)]
    sources: Sources,
}

/// Everything that is prepared before a database is connected: bound ports, database handles, secrets.
struct Prepared {
    config: Config,
    data: DataDir,
    accounts: Db,
    store: Store,
    _locks: Vec<ProcessLock>,
    listeners: Listeners,
    /// The `client_secret` of the bundled worker.
    worker_secret: String,
    /// The operations of the bundled worker.
    operations: WorkerOperations,
}

struct Listeners {
    backend: Listener,
    identity: Listener,
}

impl Up {
    /// Runs all services until the process is stopped.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let data = DataDir::at(&self.data_dir);
        let config = self.configure(&data, environment)?;
        let operations = WorkerOperations::read(&config.worker, environment)?;
        let (options, directory, read_again) = (self.clone(), data.clone(), operations.clone());
        let load = move |environment: &Environment| {
            let config = options.configure(&directory, environment)?;
            read_again.read_again(&config.worker, environment)?;
            Ok(config)
        };
        let _observability = Observability::start(Some("tasker"), &config, environment, load)?;
        let _lock = data.lock()?;
        let metrics = MetricsListener::open(&config.metrics).await?;
        let prepared = Prepared::prepare(config, data, operations).await?;
        let hangup = if stdin().is_terminal() { Hangup::Stops } else { Hangup::Reloads };
        until_stopped(hangup, |stop| {
            serve_metrics(metrics, &stop.begun);
            Box::pin(prepared.serve(stop))
        })
        .await
    }

    /// The configuration, with defaults for one user on one machine.
    fn configure(&self, data: &DataDir, environment: &Environment) -> Result<Config, ConfigError> {
        let mut config = self.sources.load(default_layers(data)?, environment)?;
        config.backend.listen = self.backend_addr.unwrap_or(config.backend.listen);
        config.identity.listen = self.identity_addr.unwrap_or(config.identity.listen);
        config.check_backend()?;
        config.check_identity()?;
        Ok(config)
    }
}

/// The defaults of `tasker up` that differ from those of other services.
pub fn default_layers(data: &DataDir) -> Result<Layers, ConfigError> {
    let database = format!("sqlite:{}", data.file("tasks.db").display());
    let layers = Layers::default().add_setting("tasker up", "database.url", &database)?;
    layers.add_setting("tasker up", "log.level", "warn,audit=off")
}

/// How long `Ready.` waits for the worker, which may have to wait for Identity.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

impl Prepared {
    async fn prepare(config: Config, data: DataDir, operations: WorkerOperations) -> Result<Self> {
        let (accounts, tasks) = (config.open_accounts()?, config.open_tasks()?);
        let (store, locks) = (Store::new(tasks, ProcessClock::System), lock_both(&config)?);
        let listeners = Listeners {
            backend: backend_service::listen(&config, "backend.listen (--backend-addr)").await?,
            identity: identity_service::listen(&config, "identity.listen (--identity-addr)").await?,
        };
        let worker_secret = random_secret();
        Ok(Self { config, data, accounts, store, _locks: locks, listeners, worker_secret, operations })
    }

    /// Opens both services concurrently, serves them and runs the worker. They stop in the order worker, Backend, Identity:
    /// a worker reports to the Backend, and a Backend fetches keys from Identity.
    async fn serve(self, Stop { begun: stop, at_once }: Stop) -> Result<()> {
        let (identity, backend) = tokio::try_join!(self.open_identity(&stop), self.open_backend(&stop))?;
        let (Some(identity), Some(backend)) = (identity, backend) else { return Ok(()) };
        let worker = self.worker()?.with_release_now(at_once).with_drain_notice(print_drain_notice);
        let takes_tasks = CancellationToken::new();
        let worker = worker.with_ready_notice({
            let takes_tasks = takes_tasks.clone();
            move || takes_tasks.cancel()
        });
        self.announce(&identity).await?;

        let tracker = TaskTracker::new();
        let (stop_identity, stop_backend) = (CancellationToken::new(), CancellationToken::new());
        let identity = identity_service::serve(identity, self.listeners.identity, stop_identity.clone());
        let identity = tracker.spawn(stop_others_when_done(identity, stop.clone()));
        let backend = backend_service::serve(backend, self.listeners.backend, stop_backend.clone());
        let backend = tracker.spawn(stop_others_when_done(backend, stop.clone()));
        tracker.spawn(print_ready(takes_tasks));

        let run = worker.run(stop).await;
        stop_backend.cancel();
        let backend = backend.await.context("the Backend panicked")?;
        stop_identity.cancel();
        let identity = identity.await.context("Identity panicked")?;
        self.store.close().await;
        self.accounts.close().await;
        run?;
        backend.and(identity)
    }

    async fn open_identity(&self, stop: &CancellationToken) -> Result<Option<Identity>> {
        let mut settings = identity_service::settings(&self.config, &self.listeners.identity)?;
        settings.clients.push(identity::Client::with_own_tokens(
            WORKER_CLIENT_ID,
            self.worker_secret.clone().into(),
            vec![Role::Worker],
        ));
        // Swagger UI at the Backend signs people in.
        settings.cors_origins.extend(self.listeners.backend.origins());
        let setting = self.config.accounts_setting();
        let Some(identity) = identity_service::open(&self.accounts, setting, settings, stop).await? else {
            return Ok(None);
        };
        // Another one at each start: whoever learnt the earlier one cannot use it any more.
        let password = random_secret();
        identity.ensure_account(ACCOUNT, &password).await.context("the account `local` cannot be created")?;
        self.data.write_password(&password)?;
        Ok(Some(identity))
    }

    async fn open_backend(&self, stop: &CancellationToken) -> Result<Option<Backend>> {
        let mut settings = backend_service::settings(&self.config)?;
        settings.identity_url = identity_service::settings(&self.config, &self.listeners.identity)?.issuer;
        let builtin = worker_operations::specifications(&self.config.worker)?;
        backend_service::open(&self.store, settings, &builtin, kafka::open(&self.config)?, stop).await
    }

    /// The bundled worker. It uses the HTTP API, and Kafka if that is configured, like any other worker.
    fn worker(&self) -> Result<Worker> {
        let credentials = Credentials::Client {
            identity: self.listeners.identity.url(),
            id: WORKER_CLIENT_ID.to_owned(),
            secret: self.worker_secret.clone().into(),
        };
        let (backends, ca) = (vec![self.listeners.backend.url()], self.config.worker.authorities()?);
        let client = client::Settings { backends, credentials, ca };
        let (client, settings) = (Client::new(client)?, worker_service::settings(&self.config.worker)?);
        let worker = Worker::new(client, self.operations.current(), settings);
        let worker = worker.with_updates(self.operations.follow());
        Ok(match kafka::open(&self.config)? {
            Some(broker) => worker.with_kafka(broker),
            None => worker,
        })
    }

    /// Prints the addresses and stores them for the command line.
    async fn announce(&self, identity: &Identity) -> Result<()> {
        let addresses = Addresses {
            backend: self.listeners.backend.url(),
            identity: self.listeners.identity.url(),
            tls_ca: self.config.worker.tls_ca.as_deref().map(std::path::absolute).transpose()?,
        };
        self.data.write_addresses(&addresses)?;
        terminal::print_service_line(&format!("Backend:    {}", addresses.backend))?;
        terminal::print_service_line(&format!("Identity:   {}", addresses.identity))?;
        identity_service::print_setup_link(identity).await
    }
}

/// Prints that all is ready once the worker takes tasks, or after a while without it: the other services serve by then. The terminal may be
/// closed, which is no reason to stop.
async fn print_ready(takes_tasks: CancellationToken) {
    timeout(READY_TIMEOUT, takes_tasks.cancelled()).await.ok();
    terminal::print_service_line("Ready.").ok();
}

/// Prints what the stop waits for. The terminal may be closed, which is no reason to stop in another way.
fn print_drain_notice(running: usize, drain: Duration) {
    let tasks = if running == 1 { "1 running task".to_owned() } else { format!("{running} running tasks") };
    terminal::print_note(&format!(
        "Stopping: waits up to {:.1} s for {tasks}; a second Ctrl-C releases them at once.",
        drain.as_secs_f64()
    ));
}

/// Runs a service and cancels `stop` when it ends, also by an error or a panic.
async fn stop_others_when_done(
    service: impl Future<Output = Result<()>>,
    stop: CancellationToken,
) -> Result<()> {
    let _stop_guard = stop.drop_guard();
    service.await
}

/// A random secret of 43 alphanumeric characters: 256 bits.
fn random_secret() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 43)
}
