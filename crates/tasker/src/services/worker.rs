//! `tasker worker`: a worker as a process.

use std::time::Duration;

use anyhow::Result;
use client::Client;
use domain::WorkerName;
use worker::{Settings, Worker};

use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::sections;
use crate::config::validation::Credentials;
use crate::exit_code::Exit;
use crate::observability::Observability;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::server::plaintext_warnings;
use crate::services::kafka;
use crate::services::lifecycle::{Hangup, Stop, until_stopped};
use crate::services::worker_operations::WorkerOperations;

/// Runs the worker until it is stopped.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    let credentials = credentials(&config.worker)?;
    let operations = WorkerOperations::read(&config.worker, environment)?;
    let (backends, ca) = (config.worker.backend_url.to_strings(), config.worker.authorities()?);
    let (sources, read_again) = (sources.clone(), operations.clone());
    let load = move |environment: &Environment| {
        let config = sources.load(Layers::default(), environment)?;
        read_again.read_again(&config.worker, environment)?;
        Ok(config)
    };
    let _observability = Observability::start(Some("tasker-worker"), &config, environment, load)?;
    let metrics = MetricsListener::open(&config.metrics).await?;
    for address in config.worker.backend_url.iter() {
        plaintext_warnings::warn_about_service("worker.backend_url", address);
    }
    plaintext_warnings::warn_about_service("worker.identity_url", &config.worker.identity_url);
    let client = client::Settings { backends, credentials, ca };
    let worker = Worker::new(Client::new(client)?, operations.current(), settings(&config.worker)?);
    let worker = worker.with_updates(operations.follow());
    let worker = match kafka::open(&config)? {
        Some(broker) => worker.with_kafka(broker),
        None => worker,
    };
    until_stopped(Hangup::Reloads, async |Stop { begun: stop, at_once }| {
        serve_metrics(metrics, &stop);
        Ok(worker.with_release_now(at_once).run(stop).await?)
    })
    .await
}

/// The settings of the crate `worker`, from those of the configuration.
pub fn settings(section: &sections::Worker) -> Result<Settings, ConfigError> {
    Ok(Settings {
        name: section.name.clone().unwrap_or_else(default_name),
        slots: section.slots()?,
        delay_between_tasks: Duration::from_millis(section.delay_between_tasks_ms),
        steal_after: section.steal_after()?,
        heartbeat: Duration::from_millis(section.heartbeat_ms.get()),
        drain: Duration::from_millis(section.drain_ms),
    })
}

/// The credentials with which the worker's HTTP client gets its tokens.
pub fn credentials(section: &sections::Worker) -> Result<client::Credentials, ConfigError> {
    let identity = section.identity_url.to_string();
    Ok(match section.credentials()? {
        Credentials::Password { username, password } => {
            client::Credentials::Password { identity, username, password }
        }
        Credentials::Client { id, secret } => client::Credentials::Client { identity, id, secret },
    })
}

/// Host name, process id and a random part, so that workers on one machine, or of one container image, differ.
fn default_name() -> WorkerName {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "worker" } else { host };
    let name = format!("{host}-{}-{:04x}", std::process::id(), rand::random::<u16>());
    name.parse().expect("a host's name is printable and short")
}
