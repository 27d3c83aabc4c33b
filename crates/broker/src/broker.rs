//! The facade of the crate: everything that a process does with Kafka, over one connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{InstallationId, QueueName, TraceContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::Producer as _;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::connection::availability::BrokerAvailability;
use crate::connection::topic_registry::{SHARED_TOPIC_HINT, TopicLayout};
use crate::consumer::consume_loop::{ConsumeLoop, Source};
use crate::consumer::message_receiver::MessageReceiver;
use crate::dead_letter_queue::DeadLetterQueue;
use crate::error::BrokerError;
use crate::message_formats::{ResultMessage, Ticket};
use crate::metrics;
use crate::producer::publisher::{PublishError, Publisher};
use crate::producer::recovery::ProducerRecovery;
use crate::settings::{ConsumerGroup, Settings};
use crate::topic_manager::{Role, TopicManager};

/// Results that wait for the Backend to settle them before the consumer's partitions are paused.
const MAX_BUFFERED_RESULTS: usize = 1000;

/// How long messages in flight may take to be delivered when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A process's use of Kafka: a producer, the state of the topics, and subscriptions. Clones share one connection.
#[derive(Clone)]
pub struct Broker {
    connection: Arc<Connection>,
    publisher: Publisher,
    recovery: Arc<ProducerRecovery>,
    dead_letter_queue: Arc<DeadLetterQueue>,
}

impl Broker {
    /// Creates the clients. Kafka need not be available; no message is sent or received before [`Broker::manage_topics`] runs.
    /// Fails if the settings are invalid, or if librdkafka rejects them for a producer or a consumer.
    pub fn open(settings: Settings) -> Result<Self, BrokerError> {
        settings.check()?;
        let connection = Arc::new(Connection::open(settings)?);
        validate_consumer_settings(&connection)?;
        metrics::start_counters();
        Ok(Self {
            publisher: Publisher::new(connection.clone()),
            recovery: Arc::default(),
            dead_letter_queue: Arc::new(DeadLetterQueue::new(connection.clone())),
            connection,
        })
    }

    /// Declares the queues whose tickets are published or consumed here, so that the topic manager creates their topics or reports them as missing.
    pub fn declare_queues<'a>(&self, queues: impl IntoIterator<Item = &'a QueueName>) {
        let names = &self.connection.topic_names;
        self.connection.topics.declare(queues.into_iter().map(|queue| names.tickets(queue)));
    }

    /// Subscribes to an installation's tickets of one queue, which its workers share as a consumer group. At most `capacity`
    /// messages are buffered for the reader. Fails if librdkafka rejects the settings.
    pub fn tickets(
        &self,
        installation: InstallationId,
        queue: &QueueName,
        capacity: usize,
    ) -> Result<(MessageReceiver<Ticket>, ConsumeLoop<Ticket>), BrokerError> {
        self.declare_queues([queue]);
        let names = &self.connection.topic_names;
        let source = Source {
            installation,
            topic: names.tickets(queue),
            group: ConsumerGroup::of_workers(names.worker_group(queue, installation)),
        };
        ConsumeLoop::new(self.connection.clone(), self.dead_letter_queue.clone(), source, capacity)
    }

    /// Subscribes to an installation's results, which its Backends share as a consumer group. Fails if librdkafka rejects the
    /// settings.
    pub fn results(
        &self,
        installation: InstallationId,
    ) -> Result<(MessageReceiver<ResultMessage>, ConsumeLoop<ResultMessage>), BrokerError> {
        let names = &self.connection.topic_names;
        let group = ConsumerGroup::of_backends(names.backend_group(installation));
        let source = Source { installation, topic: names.results(), group };
        let (connection, dead_letter_queue) = (self.connection.clone(), self.dead_letter_queue.clone());
        ConsumeLoop::new(connection, dead_letter_queue, source, MAX_BUFFERED_RESULTS)
    }

    /// Publishes a ticket to the workers of its queue, without waiting. `true`: the ticket is on its way to the brokers.
    ///
    /// `republish_round` numbers the republications of tickets: each round uses another partition than the first publication and
    /// than the round before, in case the consumer of that partition is busy.
    pub fn publish_ticket(
        &self,
        queue: &QueueName,
        ticket: &Ticket,
        trace: Option<TraceContext>,
        republish_round: Option<u64>,
    ) -> bool {
        self.publisher.publish_ticket(queue, ticket, trace, republish_round)
    }

    /// Publishes a result. Returns when the brokers have it, or with the reason why they do not. If the future is dropped, the
    /// result is sent all the same.
    pub async fn publish_result(&self, result: &ResultMessage) -> Result<(), PublishError> {
        self.publisher.publish_result(result).await
    }

    /// Refreshes the metadata, creates or reports missing topics, and replaces a failed producer, until `stop`. No message is
    /// sent or received before this runs.
    pub async fn manage_topics(self, role: Role, stop: CancellationToken) {
        TopicManager::new(self.connection, self.recovery, role).run(stop).await;
    }

    /// Whether messages of these queues can be received: the brokers answer, and the topics exist and can be read.
    pub fn is_serving<'a>(&self, queues: impl IntoIterator<Item = &'a QueueName>) -> bool {
        let Connection { topics, topic_names, .. } = &*self.connection;
        let (present, unreadable) = (topics.present(), topics.unreadable());
        let (present, unreadable) = (present.borrow(), unreadable.borrow());
        let is_readable = |topic: &String| present.contains(topic) && !unreadable.contains_key(topic);
        self.is_up() && queues.into_iter().all(|queue| is_readable(&topic_names.tickets(queue)))
    }

    /// Waits until [`Broker::is_serving`] is no longer `serving`.
    pub async fn serving_changed(&self, queues: &[QueueName], serving: bool) {
        let Connection { availability, topics, .. } = &*self.connection;
        let (mut availability, mut present, mut unreadable) =
            (availability.changes(), topics.present(), topics.unreadable());
        while self.is_serving(queues) == serving {
            // None of these fails: `self` owns the senders.
            tokio::select! {
                _ = availability.changed() => {}
                _ = present.changed() => {}
                _ = unreadable.changed() => {}
            }
        }
    }

    /// Whether the brokers answer.
    pub fn is_up(&self) -> bool {
        self.connection.is_up()
    }

    /// Waits until the brokers answer.
    pub async fn wait_until_up(&self) {
        self.connection.availability.wait_until_up().await;
    }

    /// What does not work at the moment, as sentences; empty if everything works.
    pub fn degraded_reasons(&self) -> Vec<String> {
        if let Some(cause) = self.connection.availability.outage_cause() {
            return vec![format!("Kafka is unavailable: {cause}")];
        }
        let topics = &self.connection.topics;
        let producer = self.recovery.cause().map(|cause| format!("Kafka's producer has failed: {cause}"));
        let missing = topics.missing().into_iter().map(|topic| format!("the topic {topic} does not exist"));
        let open = topics
            .open_breakers()
            .into_iter()
            .map(|topic| format!("the topic {topic} does not accept messages"));
        let unreadable = topics.unreadable();
        let unreadable = unreadable.borrow();
        let unreadable =
            unreadable.iter().map(|(topic, cause)| format!("the topic {topic} cannot be read: {cause}"));
        let shared = topics.foreign_installations().into_iter().map(|(topic, installation)| {
            format!("the topic {topic} also has messages of another installation ({installation}): {SHARED_TOPIC_HINT}")
        });
        producer.into_iter().chain(missing).chain(open).chain(unreadable).chain(shared).collect()
    }

    /// The layouts of the declared topics that exist, by name.
    pub fn topic_layouts(&self) -> BTreeMap<String, TopicLayout> {
        self.connection.topics.layouts()
    }

    /// How many messages this process has received more than once: after a rebalance, or because a topic was replayed. They
    /// are harmless, since the database decides.
    pub fn redeliveries(&self) -> u64 {
        self.connection.redeliveries()
    }

    /// How many messages this process has sent to the dead letter queue, or had to drop.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letter_queue.count()
    }

    /// Waits up to two seconds for messages in flight to be delivered. Those that are not are sent again by other means:
    /// tickets by the Backends' republishing, results over HTTP.
    pub async fn flush(&self) {
        if !self.is_up() {
            return;
        }
        let producer = self.connection.producer();
        match spawn_blocking(move || producer.flush(FLUSH_TIMEOUT)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = %error, "some messages were not sent"),
            Err(error) => tracing::debug!(error = %error, "some messages were not sent"),
        }
    }
}

/// Creates a consumer and drops it, so that a property which no consumer accepts fails at the start.
fn validate_consumer_settings(connection: &Connection) -> Result<(), BrokerError> {
    let consumer = connection.settings.consumer(&ConsumerGroup::of_backends("validation".to_owned()));
    let consumer: Result<BaseConsumer<BrokerAvailability>, _> =
        consumer.create_with_context(connection.availability.clone());
    consumer.map(drop).map_err(|error| BrokerError::rejected_settings(&error, &connection.settings))
}
