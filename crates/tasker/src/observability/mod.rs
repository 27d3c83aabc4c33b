//! Observability of a process: its log, its metrics and its traces.

pub(crate) mod escaped_fields;
pub(crate) mod json_format;
pub(crate) mod log_file;
pub(crate) mod log_writer;
pub(crate) mod logging;
pub(crate) mod metrics_endpoint;
pub(crate) mod panic_hook;
pub(crate) mod trace_export;

use anyhow::{Context, Result};

use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::sections::Config;
use crate::config::unknown_variables;
use crate::observability::logging::Logging;
use crate::observability::trace_export::TraceExport;

/// The log and the trace export of a process, which last until this is dropped.
pub struct Observability {
    /// Dropped first, because its shutdown may log.
    _traces: Option<TraceExport>,
    _logging: Logging,
}

impl Observability {
    /// Starts the log, and the trace export for a `service` that records spans. `load` reads the settings again on SIGHUP
    /// and may apply others than the log level, which is applied here.
    ///
    /// # Errors
    ///
    /// If a setting of `[log]` or `[traces]` is invalid.
    pub fn start(
        service: Option<&'static str>,
        config: &Config,
        environment: &Environment,
        load: impl Fn(&Environment) -> Result<Config, ConfigError> + Send + Sync + 'static,
    ) -> Result<Self> {
        let logging = logging::start(&config.log, environment)?;
        for sentence in unknown_variables::about_all(environment) {
            tracing::warn!("{sentence}");
        }
        let environment = environment.clone();
        let load = move || load(&environment).map(|config| config.log);
        logging.reload_on_hangup(load).context("no handler for SIGHUP can be installed")?;
        let traces = match service {
            Some(service) => trace_export::start(&config.traces, service)?,
            None => None,
        };
        Ok(Self { _traces: traces, _logging: logging })
    }

    /// [`Observability::start`] for a service that reads all its settings from `sources`.
    ///
    /// # Errors
    ///
    /// If a setting of `[log]` or `[traces]` is invalid.
    pub fn start_from(
        sources: &Sources,
        service: Option<&'static str>,
        config: &Config,
        environment: &Environment,
    ) -> Result<Self> {
        let sources = sources.clone();
        Self::start(service, config, environment, move |environment| {
            sources.load(Layers::default(), environment)
        })
    }
}
