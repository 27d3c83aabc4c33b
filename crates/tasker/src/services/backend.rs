//! `tasker backend`: the REST API as a process.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use anyhow::Result;
use backend::{Backend, OpenError, Settings};
use broker::Broker;
use database::ProcessClock;
use domain::Operation;
use store::Store;
use tokio_util::sync::CancellationToken;
use tracing::info;
use web::allowed_hosts::AllowedHosts;

use crate::config::command_line::Sources;
use crate::config::databases::start_error;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::sections::Config;
use crate::exit_code::Exit;
use crate::observability::Observability;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::server::listener::{Listener, REQUEST_TIMEOUT};
use crate::server::plaintext_warnings;
use crate::services::lifecycle::{Hangup, Stop, until_stopped, within_grace_period};
use crate::services::sqlite_lock::lock_tasks;
use crate::services::startup_retry::retry_until_available;
use crate::services::{kafka, worker_operations};

/// How often a waiting request queries the database even if no notification has arrived.
const SLOW_CHECK_PERIOD: Duration = Duration::from_secs(1);

/// Runs the Backend until it is stopped.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    config.check_backend()?;
    let _observability = Observability::start_from(sources, Some("tasker-backend"), &config, environment)?;
    let metrics = MetricsListener::open(&config.metrics).await?;
    let store = Store::new(config.open_tasks()?, ProcessClock::System);
    let _lock = lock_tasks(&config)?;
    let (settings, builtin) = (settings(&config)?, worker_operations::specifications(&config.worker)?);
    let (listener, broker) = (listen(&config, "backend.listen").await?, kafka::open(&config)?);
    plaintext_warnings::warn_about_tasks_database(&config);
    plaintext_warnings::warn_about_service("backend.identity_url", &config.backend.identity_url);
    until_stopped(Hangup::Reloads, async |Stop { begun: stop, .. }| {
        serve_metrics(metrics, &stop);
        if let Some(backend) = open(&store, settings, &builtin, broker, &stop).await? {
            info!("the Backend listens on {}", listener.address());
            serve(backend, listener, stop).await?;
        }
        store.close().await;
        Ok(())
    })
    .await
}

/// Binds the listener of the REST API, whose address `setting` names.
pub async fn listen(config: &Config, setting: &str) -> Result<Listener> {
    let section = &config.backend;
    let issuers = config.identity.issuer.iter().chain([&section.identity_url]);
    let hosts = section.allowed_hosts.and_those_of(issuers);
    let hosts = AllowedHosts::new("backend.allowed_hosts", hosts);
    let listener = Listener::bind(setting, section.listen, section.tls()?, hosts).await?;
    Ok(listener.with_connections_per_network(section.max_connections_per_address))
}

/// Migrates the database and opens the Backend as soon as the database answers; `None` if `stop` was cancelled before.
pub async fn open(
    store: &Store,
    settings: Settings,
    builtin: &[Operation],
    broker: Option<Broker>,
    stop: &CancellationToken,
) -> Result<Option<Backend>> {
    let open = async || {
        store.migrate().await?;
        Backend::open(store.clone(), settings.clone(), builtin, broker.clone(), stop.clone()).await
    };
    let is_temporary =
        |error: &OpenError| matches!(error, OpenError::Database(error) if error.is_unavailable());
    let opened = retry_until_available("the database of tasks", stop, is_temporary, open).await;
    opened.map_err(|error| match error {
        OpenError::Database(error) => start_error("database.url", error),
        error @ OpenError::Tls(_) => error.into(),
    })
}

/// Serves until `stop` is cancelled and the requests received by then are answered.
///
/// # Errors
///
/// If a background task of the Backend fails: the listener is closed with it, and the process ends.
pub async fn serve(backend: Backend, listener: Listener, stop: CancellationToken) -> Result<()> {
    let router = backend.router();
    let service = async {
        let run = async { Ok(backend.run().await?) };
        tokio::try_join!(listener.serve(router, stop.clone()), run).map(|((), ())| ())
    };
    within_grace_period(service, &stop).await
}

/// The settings of the crate `backend`, from those of the configuration.
pub fn settings(config: &Config) -> Result<Settings, ConfigError> {
    let millis = |millis: NonZeroU64| Duration::from_millis(millis.get());
    let section = &config.backend;
    Ok(Settings {
        identity_url: section.identity_url.to_string(),
        identity_ca: section.authorities()?,
        check_period: millis(section.check_period_ms),
        slow_check: SLOW_CHECK_PERIOD,
        default_ttl: section.default_ttl_ms,
        max_ttl: section.max_ttl_ms,
        start_within: section.start_within_ms,
        keep_ended: Duration::from_hours(24 * u64::from(section.keep_ended_days.get())),
        worker_lost: millis(section.worker_lost_ms),
        resend_period: millis(section.resend_period_ms),
        cors_origins: section.cors_origins.clone(),
        trusted_proxies: section.trusted_proxies.0.clone(),
        max_parameters: section.max_parameters_bytes.get(),
        max_result: section.max_result_bytes.get(),
        max_unfinished_per_owner: NonZeroU32::new(section.max_unfinished_per_owner),
        requests_per_minute: NonZeroU32::new(section.requests_per_minute),
        is_sampled: config.metrics.listen.is_some(),
        request_timeout: REQUEST_TIMEOUT,
    })
}
