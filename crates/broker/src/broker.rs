//! The way to Kafka of one process: a producer, the picture of the topics, and the feeds that it reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::QueueName;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer as _, ThreadedProducer};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::connection::availability::BrokerAvailability;
use crate::connection::topic_registry::{Names, TopicLayout, Topics};
use crate::consumer::consume_loop::ConsumeLoop;
use crate::consumer::subscription::Subscription;
use crate::dead_letter_queue::DeadLetterQueue;
use crate::librdkafka_properties;
use crate::message::{ResultMessage, Ticket};
use crate::metrics;
use crate::producer::publisher::DeliveryReports;
use crate::producer::recovery::ProducerRecovery;
use crate::settings::{InvalidSetting, Settings};

/// The most results that wait for the Backend to settle them, before it pauses its partitions.
const RESULTS: usize = 1000;

/// How long what is on its way may take to arrive when a process ends.
const FLUSH: Duration = Duration::from_secs(2);

/// What a process does with the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Offers tickets and reads results; it makes topics that are missing, if the settings let it.
    Backend,
    /// Reads tickets and posts results.
    Worker,
}

/// The settings make no client.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// One of them is refused by us.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// Some of them are refused by librdkafka.
    #[error("{0}")]
    Client(String),
}

impl Settings {
    /// What librdkafka has against these settings.
    pub(crate) fn refused(&self, error: &KafkaError) -> BrokerError {
        BrokerError::Client(librdkafka_properties::refusal(error, &self.properties))
    }
}

/// The way to Kafka. Clones are one.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    settings: Settings,
    names: Names,
    line: BrokerAvailability,
    topics: Arc<Topics>,
    deliveries: DeliveryReports,
    producer: RwLock<Arc<ThreadedProducer<DeliveryReports>>>,
    mending: ProducerRecovery,
    wanted: Notify,
    buried: DeadLetterQueue,
    redeliveries: AtomicU64,
}

impl Broker {
    /// Makes the clients; nothing is sent before [`Broker::keep`] runs, and Kafka need not be there.
    pub fn open(settings: Settings) -> Result<Self, BrokerError> {
        settings.check()?;
        let (names, line) = (Names::of(&settings.topic_prefix), BrokerAvailability::new());
        let topics = Arc::new(Topics::wanting([names.results(), names.dead()]));
        let deliveries = DeliveryReports { line: line.clone(), topics: topics.clone() };
        let refused = |error: KafkaError| settings.refused(&error);
        let producer = settings.producer().create_with_context(deliveries.clone()).map_err(refused)?;
        let producer = RwLock::new(Arc::new(producer));
        // What it would refuse of a consumer's properties is told now.
        let consumer = settings.consumer(&names.backends()).create_with_context(line.clone());
        let _: BaseConsumer<BrokerAvailability> = consumer.map_err(refused)?;
        Ok(Self(Arc::new(Inner {
            settings,
            names,
            line,
            topics,
            deliveries,
            producer,
            mending: ProducerRecovery::default(),
            wanted: Notify::new(),
            buried: DeadLetterQueue::default(),
            redeliveries: AtomicU64::new(0),
        })))
    }

    /// Tickets of these queues are offered or read here: their topics are wanted.
    pub fn declare_queues<'a>(&self, queues: impl IntoIterator<Item = &'a QueueName>) {
        let new: Vec<bool> =
            queues.into_iter().map(|queue| self.topics().want(self.names().tickets(queue))).collect();
        if new.contains(&true) {
            self.0.wanted.notify_one();
        }
    }

    /// The tickets of one queue, shared with its other workers; no more than `room` are held for the reader.
    pub fn tickets(
        &self,
        queue: &QueueName,
        room: usize,
    ) -> Result<(Subscription<Ticket>, ConsumeLoop<Ticket>), BrokerError> {
        self.declare_queues([queue]);
        ConsumeLoop::of(self.clone(), self.names().tickets(queue), &self.names().workers(queue), room)
    }

    /// The results, shared with the other Backends.
    pub fn results(&self) -> Result<(Subscription<ResultMessage>, ConsumeLoop<ResultMessage>), BrokerError> {
        ConsumeLoop::of(self.clone(), self.names().results(), &self.names().backends(), RESULTS)
    }

    /// Whether messages of these queues can come: the brokers answer, the topics are there, and we may read them.
    pub fn is_serving<'a>(&self, queues: impl IntoIterator<Item = &'a QueueName>) -> bool {
        let (there, unreadable) = (self.topics().there(), self.topics().unreadable());
        let (there, unreadable) = (there.borrow(), unreadable.borrow());
        let can_come = |topic: &String| there.contains(topic) && !unreadable.contains_key(topic);
        self.line().is_up() && queues.into_iter().all(|queue| can_come(&self.names().tickets(queue)))
    }

    /// Whether the brokers answer.
    pub fn is_up(&self) -> bool {
        self.line().is_up()
    }

    /// Waits until the brokers answer.
    pub async fn wait_until_up(&self) {
        self.line().wait_until_up().await;
    }

    /// What does not work at the moment, as sentences; nothing if all is well.
    pub fn degraded_reasons(&self) -> Vec<String> {
        if let Some(cause) = self.line().trouble() {
            return vec![format!("Kafka cannot be reached: {cause}")];
        }
        let missing =
            self.topics().missing().into_iter().map(|topic| format!("the topic {topic} is not there"));
        let broken =
            self.topics().broken().into_iter().map(|topic| format!("the topic {topic} takes no messages"));
        let unreadable = self.topics().unreadable();
        let unreadable = unreadable.borrow();
        let unread =
            unreadable.iter().map(|(topic, cause)| format!("the topic {topic} cannot be read: {cause}"));
        let mute = self.mending().cause().map(|cause| format!("Kafka's producer is broken: {cause}"));
        mute.into_iter().chain(missing).chain(broken).chain(unread).collect()
    }

    /// How the topics that are wanted here are made, of those that are there.
    pub fn topic_layouts(&self) -> BTreeMap<String, TopicLayout> {
        self.topics().layouts()
    }

    /// Waits until messages of these queues can come, or can come no more: until it is otherwise than `served`.
    pub async fn serving_changed(&self, queues: &[QueueName], served: bool) {
        let (mut line, mut there, mut unreadable) =
            (self.line().changes(), self.topics().there(), self.topics().unreadable());
        while self.is_serving(queues) == served {
            // Their senders live as long as this.
            tokio::select! {
                _ = line.changed() => {}
                _ = there.changed() => {}
                _ = unreadable.changed() => {}
            }
        }
    }

    /// Lets what is on its way arrive, for a moment. What does not is offered again by others.
    pub async fn flush(&self) {
        if !self.line().is_up() {
            return;
        }
        let producer = self.producer();
        match spawn_blocking(move || producer.flush(FLUSH)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(error = %error, "some messages were not sent"),
            Err(error) => tracing::debug!(error = %error, "some messages were not sent"),
        }
    }

    /// How many messages have come to this process again: after a rebalance, or because somebody replayed a topic. They
    /// are harmless: the database has decided.
    pub fn redeliveries(&self) -> u64 {
        self.0.redeliveries.load(Ordering::Relaxed)
    }

    /// One more.
    pub(crate) fn count_redelivery(&self) -> u64 {
        metrics::again();
        self.0.redeliveries.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    pub(crate) fn line(&self) -> &BrokerAvailability {
        &self.0.line
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.0.topics
    }

    pub(crate) fn deliveries(&self) -> &DeliveryReports {
        &self.0.deliveries
    }

    pub(crate) fn producer(&self) -> Arc<ThreadedProducer<DeliveryReports>> {
        self.0.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn mending(&self) -> &ProducerRecovery {
        &self.0.mending
    }

    /// The one that it was before.
    pub(crate) fn replace_producer(
        &self,
        producer: Arc<ThreadedProducer<DeliveryReports>>,
    ) -> Arc<ThreadedProducer<DeliveryReports>> {
        let mut place = self.0.producer.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut place, producer)
    }

    /// Rings when a topic is wanted that was not before.
    pub(crate) fn wanted(&self) -> &Notify {
        &self.0.wanted
    }

    pub(crate) fn buried(&self) -> &DeadLetterQueue {
        &self.0.buried
    }
}
