//! The callbacks of a consumer: logs and errors, statistics, and rebalances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;
use tokio::sync::Notify;

use crate::connection::availability::BrokerAvailability;
use crate::metrics;

/// The context of a consumer, as rdkafka calls the receiver of callbacks: forwards errors to the shared broker availability,
/// and rebalances to the consume loop.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerCallbacks {
    availability: BrokerAvailability,
    rebalanced: Arc<Notify>,
    has_assignment: Arc<AtomicBool>,
}

impl ConsumerCallbacks {
    /// Callbacks for one consumer.
    pub(crate) fn new(availability: BrokerAvailability) -> Self {
        Self { availability, rebalanced: Arc::default(), has_assignment: Arc::default() }
    }

    /// Waits until a rebalance has happened.
    pub(crate) async fn rebalanced(&self) {
        self.rebalanced.notified().await;
    }

    /// Whether the last rebalance made the consumer a member of its group. Its assignment may be empty.
    pub(crate) fn has_assignment(&self) -> bool {
        self.has_assignment.load(Ordering::Relaxed)
    }
}

impl ClientContext for ConsumerCallbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.availability.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.availability.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        metrics::set_lag(&statistics);
    }
}

impl ConsumerContext for ConsumerCallbacks {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                if partitions.count() > 0 {
                    tracing::debug!(partitions = partitions.count(), "partitions were assigned");
                }
            }
            Rebalance::Revoke(partitions) => {
                tracing::debug!(partitions = partitions.count(), "partitions were revoked");
            }
            Rebalance::Error(error) => tracing::warn!(error = %error, "a rebalance failed"),
        }
        self.has_assignment.store(matches!(rebalance, Rebalance::Assign(_)), Ordering::Relaxed);
        self.rebalanced.notify_one();
    }
}
