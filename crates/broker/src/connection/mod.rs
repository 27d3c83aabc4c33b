//! What the publisher, the consumers and the topic manager share: settings, producer, topics, broker availability.

pub(crate) mod availability;
pub(crate) mod circuit_breaker;
pub(crate) mod delivery_reports;
pub(crate) mod topic_names;
pub(crate) mod topic_registry;

use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::producer::ThreadedProducer;

use crate::connection::availability::BrokerAvailability;
use crate::connection::delivery_reports::DeliveryReports;
use crate::connection::topic_names::TopicNames;
use crate::connection::topic_registry::TopicRegistry;
use crate::error::BrokerError;
use crate::metrics;
use crate::settings::Settings;

/// Pause before a client with a fatal error is replaced: librdkafka does not revive such a client.
pub(crate) const RECREATE_DELAY: Duration = Duration::from_secs(5);

/// How long closing a client may take before it is left to finish in the background.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// librdkafka's producer, which polls its delivery reports on a thread of its own.
pub(crate) type KafkaProducer = ThreadedProducer<DeliveryReports>;

/// The state of one process's connection to Kafka. It does not depend on the parts that use it.
pub(crate) struct Connection {
    pub(crate) settings: Settings,
    pub(crate) topic_names: TopicNames,
    pub(crate) availability: BrokerAvailability,
    pub(crate) topics: Arc<TopicRegistry>,
    pub(crate) delivery_reports: DeliveryReports,
    producer: RwLock<Arc<KafkaProducer>>,
    redeliveries: AtomicU64,
}

impl Connection {
    /// Creates the producer; it connects in the background. Fails if librdkafka rejects the settings.
    pub(crate) fn open(settings: Settings) -> Result<Self, BrokerError> {
        let topic_names = TopicNames::with_prefix(&settings.topic_prefix);
        let availability = BrokerAvailability::new();
        let topics =
            Arc::new(TopicRegistry::with_topics([topic_names.results(), topic_names.dead_letters()]));
        let delivery_reports = DeliveryReports::new(availability.clone(), topics.clone());
        let producer = settings
            .producer()
            .create_with_context(delivery_reports.clone())
            .map_err(|error| BrokerError::rejected_settings(&error, &settings))?;
        Ok(Self {
            settings,
            topic_names,
            availability,
            topics,
            delivery_reports,
            producer: RwLock::new(Arc::new(producer)),
            redeliveries: AtomicU64::new(0),
        })
    }

    /// Whether the brokers answer.
    pub(crate) fn is_up(&self) -> bool {
        self.availability.is_up()
    }

    /// The current producer; the producer recovery may replace it at any time.
    pub(crate) fn producer(&self) -> Arc<KafkaProducer> {
        self.producer.read().clone()
    }

    /// Replaces the producer and returns the previous one.
    pub(crate) fn replace_producer(&self, producer: Arc<KafkaProducer>) -> Arc<KafkaProducer> {
        let mut current = self.producer.write();
        std::mem::replace(&mut current, producer)
    }

    /// Counts a message that this process has received before, and returns the total.
    pub(crate) fn count_redelivery(&self) -> u64 {
        metrics::count_redelivery();
        self.redeliveries.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many messages this process has received more than once.
    pub(crate) fn redeliveries(&self) -> u64 {
        self.redeliveries.load(Ordering::Relaxed)
    }
}
