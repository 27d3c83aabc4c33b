//! `tasker config check`: each thing that the settings name is tried, and what is wrong is said with how to mend it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use broker::{Broker, Role as BrokerRole};
use clap::{Args, ValueEnum};
use client::{Client, Identity};
use domain::chain;
use serde::Serialize;
use store::{Db, Store};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::show::Form;
use crate::config::{Config, Environment, Layers, Sources};
use crate::exit::Exit;
use crate::{roles, show};

/// How long each thing may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks settings.
#[derive(Debug, Args)]
pub struct Check {
    /// The role whose settings they are
    #[arg(value_enum, default_value_t = Role::All)]
    role: Role,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    #[command(flatten)]
    sources: Sources,
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

/// A probe that has ended.
#[derive(Serialize)]
struct Probed {
    probe: &'static str,
    ok: bool,
    said: String,
}

impl Role {
    /// Whether it is that role, or all of them.
    pub fn has(self, role: Self) -> bool {
        self == Self::All || self == role
    }
}

impl Check {
    /// Tries one thing after the other, and prints each as it ends.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let config = self.sources.load(Layers::default(), environment)?;
        let mut all = Vec::new();
        self.tell(&mut all, "settings", rules(&config, self.role));
        if self.role.has(Role::Backend) {
            self.tell(
                &mut all,
                "database.url",
                database(config.open_tasks(), config.database_url().ok()).await,
            );
        }
        if self.role.has(Role::Identity) {
            let url = config.identity_database_url().ok();
            let found = database(config.open_accounts(), url.as_deref()).await;
            self.tell(&mut all, config.accounts_setting(), found);
        }
        if self.role != Role::Identity && config.kafka.bootstrap_servers.is_some() {
            self.tell(&mut all, "kafka", kafka(&config).await);
        }
        if self.role.has(Role::Backend) {
            self.tell(&mut all, "backend.identity_url", identity(&config).await);
        }
        if self.role.has(Role::Worker) {
            self.tell(&mut all, "worker", worker(&config).await);
        }
        if self.output == Form::Json {
            show::line(&serde_json::to_string(&all)?)?;
        }
        Ok(if all.iter().all(|probed| probed.ok) { Exit::Done } else { Exit::Usage })
    }

    fn tell(&self, all: &mut Vec<Probed>, probe: &'static str, found: Found) {
        let probed = Probed { probe, ok: found.is_ok(), said: found.unwrap_or_else(|said| said) };
        if self.output == Form::Table {
            let mark = if probed.ok { "ok " } else { "BAD" };
            // Whoever reads no longer does not need to be told.
            let _ = show::line(&format!("{mark}  {probe:<22}  {}", show::plain(&probed.said)));
        }
        all.push(probed);
    }
}

/// The rules that need nobody else.
pub fn rules(config: &Config, role: Role) -> Found {
    let check = || {
        if role.has(Role::Backend) {
            config.check_backend()?;
        }
        if role.has(Role::Identity) {
            config.check_identity()?;
            config.identity_clients()?;
        }
        if role.has(Role::Worker) {
            config.worker.credentials()?;
            config.worker.simulated_work()?;
        }
        config.metrics.check()
    };
    check().map(|()| "they are sound".to_owned()).map_err(|error| error.to_string())
}

async fn database(opened: Result<Db, impl ToString>, url: Option<&str>) -> Found {
    let db = opened.map_err(|error| error.to_string())?;
    // To ask would be to make it.
    if let Some(path) = url.and_then(Db::sqlite_path).filter(|path| !Path::new(path).exists()) {
        return Ok(format!("{path} is made at the first start"));
    }
    let answered = answers(&db).await;
    drop(timeout(PATIENCE, db.close()).await);
    answered
}

/// Whether a database answers.
pub async fn answers(db: &Db) -> Found {
    match timeout(PATIENCE, db.ping()).await {
        Ok(Ok(())) => Ok("the database answers".to_owned()),
        Ok(Err(error)) => {
            Err(format!("{}: is it running, and are its name and password right?", chain(&error)))
        }
        Err(_) => Err(format!("no answer within {} s: is its host right?", PATIENCE.as_secs())),
    }
}

/// The database's clock less ours, in seconds; `None` where it is ours.
pub async fn clock_offset(store: &Store) -> Option<f64> {
    store.learn_clock().await.ok()?;
    let health = store.health().await.ok()?;
    health.table.map(|_| health.clock_offset)
}

/// Nothing is made or sent.
pub async fn kafka(config: &Config) -> Found {
    let Some(settings) = config.kafka.settings().map_err(|error| error.to_string())? else {
        return Ok("there is none".to_owned());
    };
    let broker = Broker::open(settings).map_err(|error| chain(&error))?;
    let (stop, keeper) = (CancellationToken::new(), TaskTracker::new());
    keeper.spawn(broker.clone().keep(BrokerRole::Worker, stop.clone()));
    let is_up = timeout(PATIENCE, broker.comes_up()).await.is_ok();
    let troubles = broker.troubles();
    stop.cancel();
    keeper.close();
    keeper.wait().await;
    match troubles.as_slice() {
        [] => Ok("the brokers answer, and the topics are there".to_owned()),
        missing if is_up && config.kafka.provision => {
            Ok(format!("the brokers answer; {}, and a Backend makes it", missing.join("; ")))
        }
        missing if is_up => Err(format!("{}: make it, or say kafka.provision = true", missing.join("; "))),
        away => Err(format!("{}: are kafka.bootstrap_servers and the way to them right?", away.join("; "))),
    }
}

pub async fn identity(config: &Config) -> Found {
    let address = config.backend.identity_url.to_string();
    let ca = config.backend.authorities().map_err(|error| error.to_string())?;
    let identity = Identity::at(&address, ca.as_deref()).map_err(|error| chain(&error))?;
    match identity.issuer().await {
        Ok(issuer) if issuer == address => Ok(format!("Identity answers at {address}")),
        Ok(issuer) => Err(format!(
            "Identity calls itself {issuer}, so no token of it would count: say backend.identity_url = \"{issuer}\", or set \
             identity.issuer"
        )),
        Err(error) => Err(format!("{}: is Identity running there?", chain(&error))),
    }
}

/// It signs in, and asks for the catalogue.
pub async fn worker(config: &Config) -> Found {
    let credentials = roles::worker::credentials(&config.worker).map_err(|error| error.to_string())?;
    let ca = config.worker.authorities().map_err(|error| error.to_string())?;
    let settings = client::Settings { backend: config.worker.backend_url.to_string(), credentials, ca };
    let client = Client::new(settings).map_err(|error| chain(&error))?;
    match client.workers().await {
        Ok(_) => Ok("it signs in, and the Backend knows it as a worker".to_owned()),
        Err(error) => Err(format!(
            "{}: are worker.identity_url, worker.backend_url and its account right?",
            chain(&error)
        )),
    }
}
