//! Clients that broke for good: when another takes their place, and what is said of it meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::producer::Producer as _;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::broker::Broker;

/// A client that is broken for good is replaced after this.
pub(crate) const RECREATE_DELAY: Duration = Duration::from_secs(5);

/// How long a client that ends may take.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the producer is broken for good, and when another last took its place.
#[derive(Debug, Default)]
pub(crate) struct ProducerRecovery(Mutex<Option<Broken>>);

#[derive(Debug)]
struct Broken {
    cause: String,
    replaced: Instant,
}

/// What is to be done about a producer.
#[derive(Debug, PartialEq, Eq)]
enum RecoveryAction {
    /// Nothing, or nothing yet: the one that took its place has not had its time.
    Wait,
    /// Another takes its place; the log has the cause if it is a new one.
    Replace { is_new: bool },
    /// It works again.
    Mended,
}

impl ProducerRecovery {
    /// A look at the producer has found this.
    fn found(&self, fatal: Option<&str>, now: Instant) -> RecoveryAction {
        let mut broken = self.broken();
        match (fatal, broken.as_mut()) {
            (None, None) => RecoveryAction::Wait,
            (_, Some(known)) if now.saturating_duration_since(known.replaced) < RECREATE_DELAY => {
                RecoveryAction::Wait
            }
            (None, Some(_)) => {
                *broken = None;
                RecoveryAction::Mended
            }
            (Some(cause), known) => {
                let is_new = known.is_none_or(|known| known.cause != cause);
                *broken = Some(Broken { cause: cause.to_owned(), replaced: now });
                RecoveryAction::Replace { is_new }
            }
        }
    }

    /// Why it is broken.
    pub(crate) fn cause(&self) -> Option<String> {
        self.broken().as_ref().map(|broken| broken.cause.clone())
    }

    fn broken(&self) -> MutexGuard<'_, Option<Broken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broker {
    /// With a producer that has met a fatal error librdkafka sends nothing more: another takes its place, and may meet the
    /// same. Looks now; says after how long to look again.
    pub(crate) async fn recover_producer(&self) -> Option<Duration> {
        let fatal = self.producer().client().fatal_error().map(|(_, cause)| cause);
        // Nobody has refused anything, and nobody has taken it.
        if fatal.is_none() && !self.is_up() {
            return self.mending().cause().map(|_| RECREATE_DELAY);
        }
        match self.mending().found(fatal.as_deref(), Instant::now()) {
            RecoveryAction::Wait => {}
            RecoveryAction::Mended => tracing::info!("Kafka's producer works again"),
            RecoveryAction::Replace { is_new } => {
                if is_new {
                    let cause = fatal.unwrap_or_default();
                    tracing::warn!(
                        error = cause,
                        "Kafka's producer is broken: {cause}; another takes its place each {} s until one works",
                        RECREATE_DELAY.as_secs()
                    );
                }
                self.another_producer().await;
            }
        }
        self.mending().cause().map(|_| RECREATE_DELAY)
    }

    async fn another_producer(&self) {
        match self.settings().producer().create_with_context(self.deliveries().clone()) {
            Ok(producer) => {
                let broken = self.replace_producer(Arc::new(producer));
                // Its threads are waited for, and it gives up what it holds: failures that say nothing of the topics.
                if timeout(CLOSE_TIMEOUT, spawn_blocking(move || drop(broken))).await.is_err() {
                    tracing::debug!("the broken producer takes its time to end");
                }
                self.topics().mend();
            }
            Err(error) => {
                tracing::debug!(error = %self.settings().refused(&error), "no other producer can be made");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_producer_is_replaced_now_and_then_and_told_of_once() {
        let (mending, start) = (ProducerRecovery::default(), Instant::now());
        let after = |pauses: u32| start + RECREATE_DELAY * pauses;
        assert_eq!(mending.found(None, start), RecoveryAction::Wait);
        assert_eq!(mending.found(Some("no right"), start), RecoveryAction::Replace { is_new: true });
        assert_eq!(
            mending.found(Some("no right"), start),
            RecoveryAction::Wait,
            "the next one has not had its time"
        );
        assert_eq!(mending.found(None, start), RecoveryAction::Wait, "nor is it known to work");
        assert_eq!(mending.cause().as_deref(), Some("no right"));
        assert_eq!(mending.found(Some("no right"), after(1)), RecoveryAction::Replace { is_new: false });
        assert_eq!(mending.found(Some("fenced"), after(2)), RecoveryAction::Replace { is_new: true });
        assert_eq!(mending.found(None, after(3)), RecoveryAction::Mended);
        assert_eq!((mending.cause(), mending.found(None, after(3))), (None, RecoveryAction::Wait));
    }
}
