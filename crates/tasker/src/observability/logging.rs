//! Where the logs go: to standard error or to a file, as text for eyes or as JSON for machines; how loud, a hangup may change.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{ConfigError, Environment, Format, Log, directory_of};
use crate::observability::log_file::LogFile;

/// Comes before what the settings say. The driver logs each connection that fails or is cut, and so do we, once for an
/// outage. Who did what is told however quiet the rest is, unless `audit=off` says otherwise.
const FIRST: &str = "sqlx_core::pool=off,sqlx::postgres::notice=error,audit=info";

/// How long the settings may take to be read again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The log of this process. What waits for the disk is written when it is dropped.
pub struct Telemetry {
    file: Option<LogFile>,
    level: reload::Handle<EnvFilter, Registry>,
}

/// Starts the log of this process.
pub fn start(log: &Log, environment: &Environment) -> Result<Telemetry, ConfigError> {
    let (level, handle) = reload::Layer::new(filter(&log.level)?);
    let file = log.file.as_ref().map(|path| {
        LogFile::open(path, log.rotate, log.keep).map_err(|error| {
            ConfigError::new(format!("log.file: {} cannot be written: {error}", path.display()))
        })
    });
    let file = file.transpose()?;
    let writer = file.clone().map_or_else(|| BoxMakeWriter::new(stderr), BoxMakeWriter::new);
    let lines = fmt::layer().with_writer(writer);
    let lines = match log.format {
        Format::Text => {
            let colour = file.is_none() && stderr().is_terminal() && environment.get("NO_COLOR").is_none();
            lines.compact().with_ansi(colour).boxed()
        }
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(level).with(lines).init();
    Ok(Telemetry { file, level: handle })
}

impl Telemetry {
    /// From now on SIGHUP opens the file anew and reads the level again, by `load`.
    pub fn hear_hangups(
        &self,
        load: impl Fn() -> Result<Log, ConfigError> + Send + Sync + 'static,
    ) -> std::io::Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        let (file, level, load) = (self.file.clone(), self.level.clone(), Arc::new(load));
        // It ends with the process.
        TaskTracker::new().spawn(async move {
            while hangups.recv().await.is_some() {
                if let Some(file) = &file {
                    file.reopen();
                }
                match read(load.clone()).await.and_then(|log| Ok((filter(&log.level)?, log.level))) {
                    Ok((filter, name)) => {
                        level.reload(filter).expect("the log lasts as long as the process");
                        tracing::info!("the level of the log is {name}");
                    }
                    Err(error) => tracing::warn!(error = %error, "the settings were not read again"),
                }
            }
        });
        Ok(())
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.close();
        }
    }
}

/// Reads the settings in a thread of their own: a file may never end, and nothing waits for it but the level.
async fn read(
    load: Arc<impl Fn() -> Result<Log, ConfigError> + Send + Sync + 'static>,
) -> Result<Log, ConfigError> {
    let (told, hears) = oneshot::channel();
    // Who waits no longer does not need to be told.
    std::thread::spawn(move || drop(told.send(load())));
    match timeout(PATIENCE, hears).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) | Err(_) => {
            Err(ConfigError::new(format!("they could not be read within {} s", PATIENCE.as_secs())))
        }
    }
}

/// Refuses what no log can be started with. Nothing is written.
pub fn check(log: &Log) -> Result<(), ConfigError> {
    filter(&log.level)?;
    let Some(path) = &log.file else { return Ok(()) };
    let directory = directory_of(path);
    let why = if !directory.is_dir() {
        format!("there is no directory {}", directory.display())
    } else if path.is_dir() {
        "it is a directory".to_owned()
    } else {
        return Ok(());
    };
    Err(ConfigError::new(format!("log.file: {} cannot be written: {why}", path.display())))
}

fn filter(levels: &str) -> Result<EnvFilter, ConfigError> {
    check_words(levels)?;
    EnvFilter::try_new(format!("{FIRST},{levels}"))
        .map_err(|error| ConfigError::new(format!("log.level = \"{levels}\": {error}")))
}

/// A lone word is a level: the filter would take a mistyped one for the name of a part, and log nothing.
fn check_words(levels: &str) -> Result<(), ConfigError> {
    let lone = levels.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[', ':']));
    for word in lone {
        let known = word.parse::<LevelFilter>().is_ok_and(|_| !word.is_empty());
        if !known {
            return Err(ConfigError::new(format!(
                "log.level = \"{levels}\": `{word}` is not error, warn, info, debug, trace or off"
            )));
        }
    }
    Ok(())
}
