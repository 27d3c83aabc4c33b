//! The line to the brokers as librdkafka reports it: an outage is said once, with its cause, and its end too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use tokio::sync::{Notify, watch};

use crate::metrics;

/// Whether the brokers can be reached. Clones are one; every client of the process shares it.
#[derive(Debug, Clone)]
pub(crate) struct BrokerAvailability(Arc<State>);

#[derive(Debug)]
struct State {
    up: watch::Sender<bool>,
    /// Rings when a client doubts it; the keeper looks then.
    suspected: Notify,
    outage: Mutex<Outage>,
}

#[derive(Debug, Default)]
struct Outage {
    since: Option<Instant>,
    /// What was last heard of a connection that failed.
    cause: Option<String>,
}

impl BrokerAvailability {
    /// Not up before somebody has heard a broker.
    pub(crate) fn new() -> Self {
        let (up, suspected) = (watch::Sender::new(false), Notify::new());
        Self(Arc::new(State { up, suspected, outage: Mutex::default() }))
    }

    pub(crate) fn is_up(&self) -> bool {
        *self.0.up.borrow()
    }

    /// Rings when the line comes up or goes down.
    pub(crate) fn changes(&self) -> watch::Receiver<bool> {
        self.0.up.subscribe()
    }

    /// Why it is down; `None` while it is up.
    pub(crate) fn trouble(&self) -> Option<String> {
        (!self.is_up()).then(|| self.cause())
    }

    fn cause(&self) -> String {
        self.outage().cause.clone().unwrap_or_else(|| "no broker has answered yet".to_owned())
    }

    /// Waits until it is up.
    pub(crate) async fn wait_until_up(&self) {
        let _ = self.changes().wait_for(|up| *up).await;
    }

    /// Waits until a client doubts that it is up.
    pub(crate) async fn suspected(&self) {
        self.0.suspected.notified().await;
    }

    /// A broker has answered.
    pub(crate) fn heard(&self) {
        let mut outage = self.outage();
        if let Some(since) = outage.since.take() {
            tracing::info!("Kafka is back after {:.1?}", since.elapsed());
        }
        outage.cause = None;
        drop(outage);
        metrics::up(true);
        self.0.up.send_if_modified(|up| !std::mem::replace(up, true));
    }

    /// No broker can be reached.
    pub(crate) fn lost(&self, cause: &str) {
        let mut outage = self.outage();
        if outage.since.is_none() {
            outage.since = Some(Instant::now());
            let cause = outage.cause.get_or_insert_with(|| cause.to_owned());
            tracing::warn!(error = %cause, "Kafka cannot be reached: workers pull and report over HTTP meanwhile");
        }
        drop(outage);
        metrics::up(false);
        self.0.up.send_if_modified(|up| std::mem::replace(up, false));
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.0.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for BrokerAvailability {
    /// librdkafka says each failed connection again and again; an outage is ours to tell.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::trace!(target: "librdkafka", facility, "{line}");
            }
            _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", error = %error, "{reason}");
        let causes = [
            RDKafkaErrorCode::Authentication,
            RDKafkaErrorCode::BrokerTransportFailure,
            RDKafkaErrorCode::Resolve,
            RDKafkaErrorCode::SSL,
        ];
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Fatal) => self.0.suspected.notify_one(),
            Some(code) if causes.contains(&code) => {
                self.outage().cause = Some(reason.to_owned());
                self.0.suspected.notify_one();
            }
            _ => {}
        }
    }
}

/// A consumer that only shows whether its settings are sound.
impl ConsumerContext for BrokerAvailability {}

/// What a consumer tells its pump.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerEvents {
    line: BrokerAvailability,
    /// Rings after each rebalance: what is paused must be paused anew.
    pub(crate) rebalanced: Arc<Notify>,
    /// Whether the last rebalance gave it its share, which may be none.
    has_assignment: Arc<AtomicBool>,
}

impl ConsumerEvents {
    pub(crate) fn of(line: &BrokerAvailability) -> Self {
        Self { line: line.clone(), rebalanced: Arc::default(), has_assignment: Arc::default() }
    }

    /// Whether it is a member of its group, as far as the last rebalance showed.
    pub(crate) fn has_assignment(&self) -> bool {
        self.has_assignment.load(Ordering::Relaxed)
    }
}

impl ClientContext for ConsumerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.line.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.line.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        metrics::lag(&statistics);
    }
}

impl ConsumerContext for ConsumerEvents {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::debug!(partitions = partitions.count(), "partitions were assigned");
            }
            Rebalance::Revoke(partitions) => {
                tracing::debug!(partitions = partitions.count(), "partitions were taken away");
            }
            Rebalance::Error(error) => tracing::warn!(error = %error, "a rebalance failed"),
        }
        self.has_assignment.store(matches!(rebalance, Rebalance::Assign(_)), Ordering::Relaxed);
        self.rebalanced.notify_one();
    }
}
