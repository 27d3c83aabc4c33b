//! Where the logs go: to standard error, as text for eyes or as JSON for machines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::Subscriber;

use crate::config::{BadConfig, Environment, Format, Log};

/// Comes before what the settings say: the driver logs each connection that fails or is cut, and so do we, once for an
/// outage.
const QUIET: &str = "sqlx_core::pool=off,sqlx::postgres::notice=error";

/// A lone word is a level: the filter would take a mistyped one for the name of a part, and log nothing.
fn check(levels: &str) -> Result<(), BadConfig> {
    let lone = levels.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[', ':']));
    for word in lone {
        let known = word.parse::<LevelFilter>().is_ok_and(|_| !word.is_empty());
        if !known {
            return Err(BadConfig::new(format!(
                "log.level = \"{levels}\": `{word}` is not error, warn, info, debug, trace or off"
            )));
        }
    }
    Ok(())
}

/// Starts the log of this process.
pub fn start(log: &Log, environment: &Environment) -> Result<(), BadConfig> {
    check(&log.level)?;
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
