//! `tasker worker`: the built-in operations, run for a Backend.

use std::time::Duration;

use anyhow::Result;
use client::{Client, Credentials};
use domain::{Operation, WorkerName};
use worker::{Operations, Settings, Worker, builtin};

use crate::config::{self, ConfigError, Environment, Layers, Sources};
use crate::exit_code::Exit;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::server::plaintext_warnings;

/// Runs the role until it is stopped.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    let credentials = credentials(&config.worker)?;
    let operations = builtin(&config.worker)?;
    let (backend, ca) = (config.worker.backend_url.to_string(), config.worker.authorities()?);
    let _telling = crate::services::lifecycle::init_observability_of(
        Some("tasker-worker"),
        &config,
        environment,
        sources,
    )?;
    let metrics = MetricsListener::open(&config.metrics).await?;
    plaintext_warnings::tell_service("worker.backend_url", &config.worker.backend_url);
    plaintext_warnings::tell_service("worker.identity_url", &config.worker.identity_url);
    let client = client::Settings { backend, credentials, ca };
    let worker = Worker::new(Client::new(client)?, operations, settings(&config.worker)?);
    let worker = match crate::services::lifecycle::broker(&config)? {
        Some(broker) => worker.with_kafka(broker),
        None => worker,
    };
    crate::services::lifecycle::until_stopped(async |stop| {
        serve_metrics(metrics, &stop);
        Ok(worker.run(stop).await?)
    })
    .await
}

/// The built-in operations.
pub fn builtin(config: &config::Worker) -> Result<Operations, ConfigError> {
    let [least, most] = config.simulated_work()?.map(Duration::from_millis);
    Ok(builtin::bundled(least..=most))
}

/// The built-in operations as the catalogue knows them.
pub fn specifications(config: &config::Worker) -> Result<Vec<Operation>, ConfigError> {
    Ok(builtin(config)?.specifications().cloned().collect())
}

/// The worker's settings out of ours.
pub fn settings(config: &config::Worker) -> Result<Settings, ConfigError> {
    Ok(Settings {
        name: config.name.clone().unwrap_or_else(own_name),
        slots: config.slots,
        delay_between_tasks: Duration::from_millis(config.delay_between_tasks_ms),
        steal_after: config.steal_after()?,
        heartbeat: Duration::from_millis(config.heartbeat_ms.get()),
        drain: Duration::from_millis(config.drain_ms),
    })
}

/// As whom it asks, out of our settings.
pub fn credentials(config: &config::Worker) -> Result<Credentials, ConfigError> {
    let identity = config.identity_url.to_string();
    Ok(match config.credentials()? {
        config::Credentials::Password { username, password } => {
            Credentials::Password { identity, username, password }
        }
        config::Credentials::Client { id, secret } => Credentials::Client { identity, id, secret },
    })
}

/// Host, process and a random part: two workers of one machine, or of one image, are told apart.
fn own_name() -> WorkerName {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "worker" } else { host };
    let name = format!("{host}-{}-{:04x}", std::process::id(), rand::random::<u16>());
    name.parse().expect("a host's name is printable and short")
}
