//! Where the logs go: to standard error, as text for eyes or as JSON for machines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::config::{BadConfig, Environment, Format, Log};

/// Comes before what the settings say: the driver logs each failed connection, and so do we, once for an outage.
const QUIET: &str = "sqlx_core::pool=off";

/// Starts the log of this process.
pub fn start(log: &Log, environment: &Environment) -> Result<(), BadConfig> {
    let level = EnvFilter::try_new(format!("{QUIET},{}", log.level))
        .map_err(|error| BadConfig::new(format!("log.level = \"{}\": {error}", log.level)))?;
    let lines = Subscriber::builder().with_env_filter(level).with_writer(stderr);
    let started = match log.format {
        Format::Text => {
            let colour = stderr().is_terminal() && environment.get("NO_COLOR").is_none();
            tracing::subscriber::set_global_default(lines.compact().with_ansi(colour).finish())
        }
        Format::Json => tracing::subscriber::set_global_default(lines.json().flatten_event(true).finish()),
    };
    started.expect("a process starts its log once");
    Ok(())
}
