//! `tasker backend`: the REST API on its port.

use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::Result;
use backend::{Backend, OpenError, Settings};
use broker::Broker;
use database::Clock;
use domain::Operation;
use store::Store;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Config, ConfigError, Environment, Layers, Sources};
use crate::exit_code::Exit;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::server::listener::{Listener, REQUEST_TIMEOUT, within_grace};
use crate::server::plaintext_warnings;
use crate::services::startup_retry;

/// The largest parameters, in bytes.
const MAX_PARAMETERS: usize = 256 * 1024;

/// The largest result, in bytes.
const MAX_RESULT: usize = 1024 * 1024;

/// How often those who wait look for themselves, whatever word has reached them.
const SLOW_CHECK: Duration = Duration::from_secs(1);

/// Runs the role until it is stopped.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    config.check_backend()?;
    let _telling = crate::services::lifecycle::init_observability_of(
        Some("tasker-backend"),
        &config,
        environment,
        sources,
    )?;
    let metrics = MetricsListener::open(&config.metrics).await?;
    let store = Store::new(config.open_tasks()?, Clock::System);
    let (settings, builtin) = (settings(&config)?, crate::services::worker::specifications(&config.worker)?);
    let (tls, broker) = (config.backend.tls()?, crate::services::lifecycle::broker(&config)?);
    let listener = Listener::bind("backend.listen", config.backend.listen, tls).await?;
    plaintext_warnings::tell_tasks(&config);
    plaintext_warnings::tell_service("backend.identity_url", &config.backend.identity_url);
    crate::services::lifecycle::until_stopped(async |stop| {
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

/// Opens the service when the database is there; `None` if it is to stop before.
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
    let is_passing =
        |error: &OpenError| matches!(error, OpenError::Database(error) if error.is_unavailable());
    Ok(startup_retry::retry_until_available("the database of tasks", stop, is_passing, open).await?)
}

/// Serves until `stop` rings and the requests in hand are answered.
pub async fn serve(backend: Backend, listener: Listener, stop: CancellationToken) -> Result<()> {
    let router = backend.router();
    // A Backend of which a part has broken serves nobody: the listener ends with it, and the process with an error.
    let service = async {
        let run = async { Ok(backend.run().await?) };
        tokio::try_join!(listener.serve(router, stop.clone()), run).map(|((), ())| ())
    };
    within_grace(service, &stop).await
}

/// The Backend's settings out of ours.
pub fn settings(config: &Config) -> Result<Settings, ConfigError> {
    let millis = |millis: NonZeroU64| Duration::from_millis(millis.get());
    let ours = &config.backend;
    Ok(Settings {
        identity_url: ours.identity_url.to_string(),
        identity_ca: ours.authorities()?,
        check_period: millis(ours.check_period_ms),
        slow_check: SLOW_CHECK,
        default_ttl: ours.default_ttl_ms,
        max_ttl: ours.max_ttl_ms,
        start_within: ours.start_within_ms,
        keep_ended: Duration::from_hours(24 * u64::from(ours.keep_ended_days.get())),
        worker_lost: millis(ours.worker_lost_ms),
        resend_period: millis(ours.resend_period_ms),
        cors_origins: ours.cors_origins.clone(),
        max_parameters: MAX_PARAMETERS,
        max_result: MAX_RESULT,
        is_sampled: config.metrics.listen.is_some(),
        request_timeout: REQUEST_TIMEOUT,
    })
}
