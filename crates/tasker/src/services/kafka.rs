//! The Kafka broker of a service, opened from the settings.

use broker::Broker;
use telemetry::error_chain;

use crate::config::error::ConfigError;
use crate::config::sections::Config;

/// The broker, if `kafka.bootstrap_servers` is set. Nothing is sent yet, and Kafka need not run. Logs the warnings about
/// the settings.
///
/// # Errors
///
/// If the settings are invalid.
pub fn open(config: &Config) -> Result<Option<Broker>, ConfigError> {
    let Some(settings) = config.kafka.settings()? else { return Ok(None) };
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    Broker::open(settings).map(Some).map_err(|error| ConfigError::new(error_chain(&error)))
}
