//! Retries of the first connection of a service: services may be started in any order.

use std::error::Error;
use std::fmt::Display;

use client::Backoff;
use telemetry::{Outage, error_chain};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Repeats `attempt` with exponential backoff until it succeeds (`Some`) or `stop` is cancelled (`None`). Each cause of
/// the wait for `what` is logged once, and so is its end.
///
/// # Errors
///
/// The first error for which `is_temporary` is false.
pub async fn retry_until_available<T, E: Error + 'static>(
    what: impl Display,
    stop: &CancellationToken,
    is_temporary: impl Fn(&E) -> bool,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Result<Option<T>, E> {
    let (mut backoff, mut outage) = (Backoff::default(), Outage::default());
    loop {
        let error = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            answer = attempt() => match answer {
                Ok(value) => {
                    if outage.record_success().is_some() {
                        info!("{what} is available");
                    }
                    return Ok(Some(value));
                }
                Err(error) if is_temporary(&error) => error,
                Err(error) => return Err(error),
            },
        };
        let cause = error_chain(&error);
        if outage.record_failure(&cause) {
            warn!(error = cause, "waiting for {what}");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fmt;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Unavailable(bool);

    impl Display for Unavailable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("unavailable")
        }
    }

    impl Error for Unavailable {}

    #[tokio::test]
    async fn a_temporary_error_is_retried_and_another_returned() {
        let attempts = Cell::new(0);
        let attempt = async || {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 { Err(Unavailable(true)) } else { Ok(attempts.get()) }
        };
        let stop = CancellationToken::new();
        assert_eq!(retry_until_available("it", &stop, |error| error.0, attempt).await, Ok(Some(3)));
        let refused = async || Err::<(), _>(Unavailable(false));
        assert_eq!(
            retry_until_available("it", &stop, |error| error.0, refused).await,
            Err(Unavailable(false))
        );
    }

    #[tokio::test]
    async fn a_stop_ends_the_retries() {
        let stop = CancellationToken::new();
        let unavailable = async || Err::<(), _>(Unavailable(true));
        let waiting = retry_until_available("it", &stop, |error| error.0, unavailable);
        let (answer, ()) = tokio::join!(waiting, async { stop.cancel() });
        assert_eq!(answer, Ok(None));
    }
}
