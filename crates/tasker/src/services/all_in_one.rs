//! `tasker up`: every role in one process, on loopback, with nothing to set up.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use backend::Backend;
use clap::Args;
use client::{Client, Credentials};
use database::{Clock, Db};
use identity::{Identity, Role};
use rand::distr::{Alphanumeric, SampleString};
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::Worker;

use super::{backend as backend_role, identity as identity_role, worker as worker_role};
use crate::config::{Config, ConfigError, Environment, Layers, Sources};
use crate::data_dir::{ACCOUNT, Addresses, DataDir};
use crate::exit_code::Exit;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::server::listener::Listener;
use crate::terminal;

/// The client of Identity as which the bundled worker asks; its secret is new at each start and never leaves the process.
const WORKER: &str = "bundled-worker";

/// Runs everything in one process.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// Where everything is kept; one `tasker up` at a time
    #[arg(long, value_name = "DIR", default_value = "./.tasker")]
    data_dir: PathBuf,
    /// Where the Backend listens [default: backend.listen, 127.0.0.1:8080]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    backend_addr: Option<SocketAddr>,
    /// Where Identity listens [default: identity.listen, 127.0.0.1:8081]; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    identity_addr: Option<SocketAddr>,
    #[command(flatten)]
    sources: Sources,
}

/// What is at hand before anything is opened.
struct Prepared {
    config: Config,
    data: DataDir,
    accounts: Db,
    store: Store,
    listeners: Listeners,
    /// The secret of the bundled worker.
    secret: String,
}

struct Listeners {
    backend: Listener,
    identity: Listener,
}

impl Up {
    /// Runs until it is stopped.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let data = DataDir::at(&self.data_dir);
        let config = self.configure(&data, environment)?;
        let (again, place) = (self.clone(), data.clone());
        let load = move |environment: &Environment| again.configure(&place, environment);
        let _telling =
            crate::services::lifecycle::init_observability(Some("tasker"), &config, environment, load)?;
        let _lock = data.take()?;
        let metrics = MetricsListener::open(&config.metrics).await?;
        let ground = Prepared::prepare(config, data).await?;
        crate::services::lifecycle::until_stopped(|stop| {
            serve_metrics(metrics, &stop);
            Box::pin(ground.serve(stop))
        })
        .await
    }

    /// What has no setting of the user's is chosen for one machine and one user.
    fn configure(&self, data: &DataDir, environment: &Environment) -> Result<Config, ConfigError> {
        let database = format!("sqlite:{}", data.file("tasks.db").display());
        let defaults = Layers::default()
            .key("tasker up", "database.url", &database)?
            .key("tasker up", "worker.simulate_work_ms", "[500, 1500]")?
            .key("tasker up", "log.level", "warn,audit=off")?;
        let mut config = self.sources.load(defaults, environment)?;
        config.backend.listen = self.backend_addr.unwrap_or(config.backend.listen);
        config.identity.listen = self.identity_addr.unwrap_or(config.identity.listen);
        config.check_backend()?;
        config.check_identity()?;
        Ok(config)
    }
}

impl Prepared {
    async fn prepare(config: Config, data: DataDir) -> Result<Self> {
        let (backend, identity) = (&config.backend, &config.identity);
        let bind = async |setting, listen, tls| Listener::bind(setting, listen, tls).await;
        let listeners = Listeners {
            backend: bind("backend.listen (--backend-addr)", backend.listen, backend.tls()?).await?,
            identity: bind("identity.listen (--identity-addr)", identity.listen, identity.tls()?).await?,
        };
        let accounts = config.open_accounts()?;
        let store = Store::new(config.open_tasks()?, Clock::System);
        Ok(Self { config, data, accounts, store, listeners, secret: random_secret() })
    }

    /// Opens both services side by side, serves them, runs the worker; they stop in the opposite order, for a worker
    /// reports to the Backend and a Backend asks Identity.
    async fn serve(self, stop: CancellationToken) -> Result<()> {
        let (identity, backend) = tokio::try_join!(self.open_identity(&stop), self.open_backend(&stop))?;
        let (Some(identity), Some(backend)) = (identity, backend) else { return Ok(()) };
        let worker = self.worker()?;
        self.announce(&identity).await?;

        let tracker = TaskTracker::new();
        let (stop_identity, stop_backend) = (CancellationToken::new(), CancellationToken::new());
        let identity = identity_role::serve(identity, self.listeners.identity, stop_identity.clone());
        let identity = tracker.spawn(stop_others_when_done(identity, stop.clone()));
        let backend = backend_role::serve(backend, self.listeners.backend, stop_backend.clone());
        let backend = tracker.spawn(stop_others_when_done(backend, stop.clone()));
        terminal::tell("Ready.")?;

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
        let mut settings = identity_role::settings(&self.config, &self.listeners.identity)?;
        settings.clients.push(identity::Client {
            id: WORKER.to_owned(),
            secret: self.secret.clone().into(),
            roles: vec![Role::Worker],
        });
        let Some(identity) = identity_role::open(&self.accounts, settings, stop).await? else {
            return Ok(None);
        };
        let password = self.data.make_secret(random_secret)?;
        identity.ensure_account(ACCOUNT, &password).await.context("the account `local` cannot be made")?;
        Ok(Some(identity))
    }

    async fn open_backend(&self, stop: &CancellationToken) -> Result<Option<Backend>> {
        let mut settings = backend_role::settings(&self.config)?;
        settings.identity_url = identity_role::settings(&self.config, &self.listeners.identity)?.issuer;
        let builtin = worker_role::specifications(&self.config.worker)?;
        backend_role::open(
            &self.store,
            settings,
            &builtin,
            crate::services::lifecycle::broker(&self.config)?,
            stop,
        )
        .await
    }

    /// A worker like any other: it speaks HTTP, and hears of work over Kafka where that is set.
    fn worker(&self) -> Result<Worker> {
        let credentials = Credentials::Client {
            identity: self.listeners.identity.url(),
            id: WORKER.to_owned(),
            secret: self.secret.clone().into(),
        };
        let (backend, ca) = (self.listeners.backend.url(), self.config.worker.authorities()?);
        let client = client::Settings { backend, credentials, ca };
        let (operations, settings) =
            (worker_role::builtin(&self.config.worker)?, worker_role::settings(&self.config.worker)?);
        let worker = Worker::new(Client::new(client)?, operations, settings);
        Ok(match crate::services::lifecycle::broker(&self.config)? {
            Some(broker) => worker.with_kafka(broker),
            None => worker,
        })
    }

    /// Tells the user, and the command line, where everything is.
    async fn announce(&self, identity: &Identity) -> Result<()> {
        let addresses = Addresses {
            backend: self.listeners.backend.url(),
            identity: self.listeners.identity.url(),
            tls_ca: self.config.worker.tls_ca.as_deref().map(std::path::absolute).transpose()?,
        };
        self.data.write_addresses(&addresses)?;
        terminal::tell(&format!("Backend:    {}", addresses.backend))?;
        terminal::tell(&format!("Identity:   {}", addresses.identity))?;
        identity_role::show_setup_link(identity).await
    }
}

/// A service that ends, however it ends, stops the others.
async fn stop_others_when_done(
    service: impl Future<Output = Result<()>>,
    stop: CancellationToken,
) -> Result<()> {
    let _others = stop.drop_guard();
    service.await
}

/// 256 bits that nobody can guess.
fn random_secret() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 43)
}
