//! The life of a service process: it runs until a signal, then has a grace period to finish what it has begun.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::exit_code::Exit;

/// How long a service may still answer after a stop: the time limit of a request, and a second.
const GRACE_PERIOD: Duration = Duration::from_secs(11);

/// Runs a service until it ends, or until SIGTERM or SIGINT cancels the token that it is given; then waits for its end.
///
/// # Errors
///
/// The error of the service, or that a second signal has interrupted the wait.
pub async fn until_stopped<F>(service: impl FnOnce(CancellationToken) -> F) -> Result<Exit>
where
    F: Future<Output = Result<()>>,
{
    let mut signals = StopSignals::listen().context("no handler for signals can be installed")?;
    let stop = CancellationToken::new();
    let mut service = pin!(service(stop.clone()));
    tokio::select! {
        ended = &mut service => return ended.map(|()| Exit::Done),
        () = signals.next() => stop.cancel(),
    }
    info!("stopping: requests and tasks that have begun may finish, a second signal interrupts them");
    tokio::select! {
        ended = service => ended.map(|()| Exit::Done),
        () = signals.next() => bail!("interrupted by a second signal"),
    }
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
}

impl StopSignals {
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
