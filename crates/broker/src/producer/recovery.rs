//! Replaces a producer that has met a fatal error, and logs the failure and the recovery once.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::producer::Producer as _;
use telemetry::Outage;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::connection::{CLOSE_TIMEOUT, Connection, RECREATE_DELAY};
use crate::error::BrokerError;

/// The latest fatal error of the producer, until a replacement works.
#[derive(Debug, Default)]
pub(crate) struct ProducerRecovery(Mutex<Option<FatalError>>);

#[derive(Debug)]
struct FatalError {
    cause: String,
    replaced_at: Instant,
    outage: Outage,
}

/// What to do about the producer.
#[derive(Debug, PartialEq, Eq)]
enum RecoveryAction {
    /// Nothing: the producer works, or its replacement is too new to be known to work.
    Wait,
    /// Replace the producer; `is_new`: this cause is not logged yet.
    Replace { is_new: bool },
    /// Log that the producer works again, after this time.
    Recovered(Duration),
}

impl ProducerRecovery {
    /// Replaces the producer if it has met a fatal error, after which librdkafka sends nothing more. The replacement may meet
    /// the same error. Returns the pause until the next check; `None` if there is nothing to check for.
    pub(crate) async fn check_producer(&self, connection: &Connection) -> Option<Duration> {
        let fatal = connection.producer().client().fatal_error().map(|(_, cause)| cause);
        // Brokers down, producer healthy: nothing to recover, and no proof that the producer works.
        if fatal.is_none() && !connection.is_up() {
            return self.cause().map(|_| RECREATE_DELAY);
        }
        match self.observe(fatal.as_deref(), Instant::now()) {
            RecoveryAction::Wait => {}
            RecoveryAction::Recovered(lasted) => {
                tracing::info!("Kafka's producer works again after {lasted:.1?}");
            }
            RecoveryAction::Replace { is_new } => {
                if is_new {
                    let cause = fatal.unwrap_or_default();
                    tracing::warn!(
                        error = cause,
                        "Kafka's producer has failed: {cause}; it is replaced every {} s until one works",
                        RECREATE_DELAY.as_secs()
                    );
                }
                replace_producer(connection).await;
            }
        }
        self.cause().map(|_| RECREATE_DELAY)
    }

    /// Records the producer's fatal error, or that it has none, and decides what to do.
    fn observe(&self, fatal: Option<&str>, now: Instant) -> RecoveryAction {
        let mut latest = self.latest();
        match (fatal, latest.as_mut()) {
            (None, None) => RecoveryAction::Wait,
            (_, Some(known)) if now.saturating_duration_since(known.replaced_at) < RECREATE_DELAY => {
                RecoveryAction::Wait
            }
            (None, Some(known)) => {
                let lasted = known.outage.record_success().unwrap_or_default();
                *latest = None;
                RecoveryAction::Recovered(lasted)
            }
            (Some(cause), _) => {
                let mut outage = latest.take().map(|known| known.outage).unwrap_or_default();
                let is_new = outage.record_failure(cause);
                *latest = Some(FatalError { cause: cause.to_owned(), replaced_at: now, outage });
                RecoveryAction::Replace { is_new }
            }
        }
    }

    /// The fatal error that has not been recovered from.
    pub(crate) fn cause(&self) -> Option<String> {
        self.latest().as_ref().map(|fatal| fatal.cause.clone())
    }

    fn latest(&self) -> MutexGuard<'_, Option<FatalError>> {
        self.0.lock()
    }
}

async fn replace_producer(connection: &Connection) {
    match connection.settings.producer().create_with_context(connection.delivery_reports.clone()) {
        Ok(producer) => {
            let failed = connection.replace_producer(Arc::new(producer));
            // Dropping a producer blocks until its threads have ended. It reports its queued messages as failed, which says
            // nothing about their topics: hence the reset of the breakers.
            if timeout(CLOSE_TIMEOUT, spawn_blocking(move || drop(failed))).await.is_err() {
                tracing::debug!("the failed producer is still closing");
            }
            connection.topics.reset_breakers();
        }
        Err(error) => {
            let error = BrokerError::rejected_settings(&error, &connection.settings);
            tracing::debug!(error = %error, "the producer cannot be replaced");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_producer_is_replaced_after_each_delay_and_each_cause_is_new_once() {
        let (recovery, start) = (ProducerRecovery::default(), Instant::now());
        let after = |delays: u32| start + RECREATE_DELAY * delays;
        assert_eq!(recovery.observe(None, start), RecoveryAction::Wait);
        assert_eq!(recovery.observe(Some("no right"), start), RecoveryAction::Replace { is_new: true });
        assert_eq!(
            recovery.observe(Some("no right"), start),
            RecoveryAction::Wait,
            "the replacement is too young to be replaced"
        );
        assert_eq!(recovery.observe(None, start), RecoveryAction::Wait, "nor is it known to work");
        assert_eq!(recovery.cause().as_deref(), Some("no right"));
        assert_eq!(recovery.observe(Some("no right"), after(1)), RecoveryAction::Replace { is_new: false });
        assert_eq!(recovery.observe(Some("fenced"), after(2)), RecoveryAction::Replace { is_new: true });
        assert_eq!(recovery.observe(Some("no right"), after(3)), RecoveryAction::Replace { is_new: false });
        assert!(matches!(recovery.observe(None, after(4)), RecoveryAction::Recovered(_)));
        assert_eq!((recovery.cause(), recovery.observe(None, after(4))), (None, RecoveryAction::Wait));
    }
}
