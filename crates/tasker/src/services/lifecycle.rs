//! The roles that a process may play, and how each of them stops.

use std::pin::pin;

use anyhow::{Context, Result, bail};
use broker::Broker;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Config, ConfigError, Environment, Layers, Sources};
use crate::exit_code::Exit;
use crate::observability::logging::{self, Telemetry};
use crate::observability::trace_export::{self, Traces};

/// The way to Kafka, if the settings name one. Nothing is sent yet, and Kafka need not be there.
pub(crate) fn broker(config: &Config) -> Result<Option<Broker>> {
    let Some(settings) = config.kafka.settings()? else { return Ok(None) };
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(Some(Broker::open(settings).map_err(|error| ConfigError::new(telemetry::error_chain(&error)))?))
}

/// What a process tells of itself, for as long as this lives.
pub(crate) struct Observability {
    /// The last of them may have something to log.
    _traces: Option<Traces>,
    _log: Telemetry,
}

/// Starts the log, and the traces if it is a `service` that takes steps of tasks. A hangup reads the log's level again, by
/// `load`, from wherever the settings come from.
pub(crate) fn init_observability(
    service: Option<&'static str>,
    config: &Config,
    environment: &Environment,
    load: impl Fn(&Environment) -> Result<Config, ConfigError> + Send + Sync + 'static,
) -> Result<Observability> {
    let log = logging::start(&config.log, environment)?;
    let unknown_variables = environment.unknown_variables();
    if !unknown_variables.is_empty() {
        tracing::warn!(
            "{}: no settings of ours, they change nothing; ours begin with TASKER__",
            unknown_variables.join(", ")
        );
    }
    let environment = environment.clone();
    let load = move || load(&environment).map(|config| config.log);
    log.hear_hangups(load).context("signals cannot be heard")?;
    let traces = match service {
        Some(service) => trace_export::start(&config.traces, service)?,
        None => None,
    };
    Ok(Observability { _traces: traces, _log: log })
}

/// The same for a role of its own.
pub(crate) fn init_observability_of(
    service: Option<&'static str>,
    config: &Config,
    environment: &Environment,
    sources: &Sources,
) -> Result<Observability> {
    let sources = sources.clone();
    init_observability(service, config, environment, move |environment| {
        sources.load(Layers::default(), environment)
    })
}

/// Runs a role until it ends or until SIGTERM or SIGINT; then it may finish what is in hand. A second signal ends that.
pub(crate) async fn until_stopped<F>(role: impl FnOnce(CancellationToken) -> F) -> Result<Exit>
where
    F: Future<Output = Result<()>>,
{
    let mut signals = Signals::listen().context("signals cannot be heard")?;
    let stop = CancellationToken::new();
    let mut role = pin!(role(stop.clone()));
    tokio::select! {
        ended = &mut role => return ended.map(|()| Exit::Done),
        () = signals.next() => stop.cancel(),
    }
    info!("stopping; what is in hand may finish, a second signal cuts it off");
    tokio::select! {
        ended = role => ended.map(|()| Exit::Done),
        () = signals.next() => bail!("cut off by a second signal"),
    }
}

/// What tells a process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
