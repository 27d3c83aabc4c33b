//! The life of a service process: it runs until a signal, then has a grace period to finish what it has begun.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::exit_code::Exit;
use crate::server::open_files;

/// How long a service may still answer after a stop: the time limit of a request, and a second.
const GRACE_PERIOD: Duration = Duration::from_secs(11);

/// How long a service may take to give back what has begun, after a second signal.
const RELEASE_PERIOD: Duration = Duration::from_secs(3);

/// What SIGHUP means: a terminal sends it when it closes, an administrator to reload the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// The process continues.
    Reloads,
    /// The process stops: it would live on unseen.
    Stops,
}

/// How a service is told to stop.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Cancelled by the first signal: what has begun may finish.
    pub begun: CancellationToken,
    /// Cancelled by the second signal: running tasks are released at once.
    pub at_once: CancellationToken,
}

/// Runs a service until it ends, or until SIGTERM or SIGINT (or SIGHUP, if `hangup` says so) tells it to stop; then waits for
/// its end.
///
/// # Errors
///
/// The error of the service, or that a second signal has interrupted the wait.
pub async fn until_stopped<F>(hangup: Hangup, service: impl FnOnce(Stop) -> F) -> Result<Exit>
where
    F: Future<Output = Result<()>>,
{
    open_files::raise_limit();
    let mut signals = StopSignals::listen(hangup).context("no handler for signals can be installed")?;
    let stop = Stop::default();
    let mut service = pin!(service(stop.clone()));
    tokio::select! {
        ended = &mut service => return ended.map(|()| Exit::Done),
        () = signals.next() => stop.begun.cancel(),
    }
    info!("stopping: requests and tasks that have begun may finish, a second signal interrupts them");
    tokio::select! {
        ended = &mut service => return ended.map(|()| Exit::Done),
        () = signals.next() => stop.at_once.cancel(),
    }
    let in_time = tokio::time::timeout(RELEASE_PERIOD, service).await;
    bail!(
        "interrupted by a second signal{}",
        if in_time.is_ok() { "" } else { ": running tasks may not be released" }
    )
}

/// Waits for the end of `service`, after `stop` for no longer than the grace period: a client that does not read its
/// response must not keep the process alive.
pub async fn within_grace_period(
    service: impl Future<Output = Result<()>>,
    stop: &CancellationToken,
) -> Result<()> {
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE_PERIOD).await;
    };
    tokio::select! {
        ended = service => ended,
        () = too_late => {
            warn!("closed the connections that were still busy {} s after the stop", GRACE_PERIOD.as_secs());
            Ok(())
        }
    }
}

/// The signals that stop a process.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` where SIGHUP does not stop the process.
    hangup: Option<Signal>,
}

impl StopSignals {
    fn listen(hangup: Hangup) -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let hangup = (hangup == Hangup::Stops).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { terminate, interrupt, hangup })
    }

    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => drop(hangup.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = hangup => {}
        }
    }
}
