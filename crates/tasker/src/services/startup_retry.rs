//! Waiting for a service that is not there yet: services may start in any order.

use std::error::Error;
use std::fmt::Display;

use client::Backoff;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Repeats `attempt` until it succeeds (`Some`), fails for good, or `stop` rings (`None`). The log says once that it
/// waits for `what`, and once that it is there.
pub async fn retry_until_available<T, E: Error + 'static>(
    what: impl Display,
    stop: &CancellationToken,
    is_passing: impl Fn(&E) -> bool,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Result<Option<T>, E> {
    let mut backoff = Backoff::default();
    let mut waited = false;
    loop {
        let error = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            answer = attempt() => match answer {
                Ok(there) => {
                    if waited {
                        info!("{what} is there");
                    }
                    return Ok(Some(there));
                }
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            },
        };
        if !waited {
            warn!(error = &error as &dyn Error, "waiting for {what}");
            waited = true;
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.pause()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fmt;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Away(bool);

    impl Display for Away {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("away")
        }
    }

    impl Error for Away {}

    #[tokio::test]
    async fn what_passes_is_waited_for_and_what_does_not_is_told() {
        let attempts = Cell::new(0);
        let attempt = async || {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 { Err(Away(true)) } else { Ok(attempts.get()) }
        };
        let stop = CancellationToken::new();
        assert_eq!(retry_until_available("it", &stop, |away| away.0, attempt).await, Ok(Some(3)));
        let gone = async || Err::<(), _>(Away(false));
        assert_eq!(retry_until_available("it", &stop, |away| away.0, gone).await, Err(Away(false)));
    }

    #[tokio::test]
    async fn a_stop_ends_the_waiting() {
        let stop = CancellationToken::new();
        let away = async || Err::<(), _>(Away(true));
        let waiting = retry_until_available("it", &stop, |away| away.0, away);
        let (answer, ()) = tokio::join!(waiting, async { stop.cancel() });
        assert_eq!(answer, Ok(None));
    }
}
