//! The log of the process: to standard error or a file, as text or JSON. SIGHUP reopens the file and reloads the level.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::sections::{Format, Log};
use crate::config::values::directory_of;
use crate::observability::escaped_fields::EscapedFields;
use crate::observability::json_format::FlatJson;
use crate::observability::log_file::RotatingFile;
use crate::observability::log_writer::{LogWriter, StandardError};
use crate::observability::panic_hook;

/// Filter directives that come before those of `log.level`, which may override them. The driver would log every
/// connection that fails and the verifier every certificate, where Tasker logs an outage once. Audit lines are logged at every level unless `audit=off` is set.
const DEFAULT_DIRECTIVES: &str =
    "sqlx_core::pool=off,rustls_platform_verifier=off,sqlx::postgres::notice=error,audit=info";

/// How long a reload of the settings may take. A settings file can be a pipe that never ends.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The log of the process. Queued lines are written when it is dropped.
pub struct Logging {
    writer: LogWriter,
    level: reload::Handle<EnvFilter, Registry>,
}

/// Starts the log of the process.
///
/// # Errors
///
/// If the level is invalid or the file cannot be opened.
pub fn start(log: &Log, environment: &Environment) -> Result<Logging, ConfigError> {
    let (level, handle) = reload::Layer::new(filter(&log.level)?);
    let writer =
        match &log.file {
            Some(path) => RotatingFile::open(path, log.rotate, log.keep).and_then(LogWriter::start).map_err(
                |error| ConfigError::new(format!("log.file: {} cannot be written: {error}", path.display())),
            )?,
            None => LogWriter::start(StandardError::default())
                .map_err(|error| ConfigError::new(format!("no thread can be started: {error}")))?,
        };
    let lines = fmt::layer().with_writer(writer.clone());
    let lines = match log.format {
        Format::Text => {
            let has_colours =
                log.file.is_none() && stderr().is_terminal() && environment.get("NO_COLOR").is_none();
            lines.compact().with_ansi(has_colours).fmt_fields(EscapedFields::default()).boxed()
        }
        Format::Json => lines.fmt_fields(JsonFields::new()).event_format(FlatJson).boxed(),
    };
    tracing_subscriber::registry().with(level).with(lines).init();
    panic_hook::install();
    Ok(Logging { writer, level: handle })
}

impl Logging {
    /// From now on SIGHUP reopens the file and sets the level to that of the settings, which `load` reads.
    pub fn reload_on_hangup(
        &self,
        load: impl Fn() -> Result<Log, ConfigError> + Send + Sync + 'static,
    ) -> std::io::Result<()> {
        let mut hangups = signal(SignalKind::hangup())?;
        let (writer, level, load) = (self.writer.clone(), self.level.clone(), Arc::new(load));
        // The background task ends with the process.
        TaskTracker::new().spawn(async move {
            while hangups.recv().await.is_some() {
                writer.reopen();
                match read(load.clone()).await.and_then(|log| Ok((filter(&log.level)?, log.level))) {
                    Ok((filter, name)) => {
                        level.reload(filter).expect("the subscriber lasts as long as the process");
                        tracing::info!("the level of the log is {name}");
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "the settings were not reloaded, the old ones stay");
                    }
                }
            }
        });
        Ok(())
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.writer.close();
    }
}

/// Reads the settings in a thread of its own: reading a file can block for ever, and must not block the runtime.
async fn read(
    load: Arc<impl Fn() -> Result<Log, ConfigError> + Send + Sync + 'static>,
) -> Result<Log, ConfigError> {
    let (sender, receiver) = oneshot::channel();
    // If the receiver has timed out, the result is not needed.
    let reader = std::thread::Builder::new().name("tasker-reload".to_owned());
    reader
        .spawn(move || drop(sender.send(load())))
        .map_err(|error| ConfigError::new(format!("no thread can be started: {error}")))?;
    match timeout(RELOAD_TIMEOUT, receiver).await {
        Ok(Ok(log)) => log,
        Ok(Err(_)) | Err(_) => Err(ConfigError::new(format!(
            "the settings could not be read within {} s",
            RELOAD_TIMEOUT.as_secs()
        ))),
    }
}

/// Checks the settings of the log without starting it or writing anything.
///
/// # Errors
///
/// If [`start`] would fail.
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
    check_levels(levels)?;
    EnvFilter::try_new(format!("{DEFAULT_DIRECTIVES},{levels}"))
        .map_err(|error| ConfigError::new(format!("log.level = \"{levels}\": {error}")))
}

/// Refuses a bare name that is not a level: the filter would take a mistyped level for the name of a target, and log
/// nothing.
fn check_levels(levels: &str) -> Result<(), ConfigError> {
    let bare = levels.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[', ':']));
    for name in bare {
        let is_level = name.parse::<LevelFilter>().is_ok_and(|_| !name.is_empty());
        if !is_level {
            return Err(ConfigError::new(format!(
                "log.level = \"{levels}\": `{name}` is not error, warn, info, debug, trace or off"
            )));
        }
    }
    Ok(())
}
