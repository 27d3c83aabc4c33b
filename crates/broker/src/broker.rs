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

use crate::dead::DeadLetters;
use crate::feed::Feed;
use crate::figures;
use crate::line::Line;
use crate::mending::Mending;
use crate::message::{Posted, Ticket};
use crate::producer::Deliveries;
use crate::properties;
use crate::pump::Pump;
use crate::settings::{BadSetting, Settings};
use crate::topics::{Names, Shape, Topics};

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
    Setting(#[from] BadSetting),
    /// Some of them are refused by librdkafka.
    #[error("{0}")]
    Client(String),
}

impl Settings {
    /// What librdkafka has against these settings.
    pub(crate) fn refused(&self, error: &KafkaError) -> BrokerError {
        BrokerError::Client(properties::refusal(error, &self.properties))
    }
}

/// The way to Kafka. Clones are one.
#[derive(Clone)]
pub struct Broker(Arc<Inner>);

struct Inner {
    settings: Settings,
    names: Names,
    line: Line,
    topics: Arc<Topics>,
    deliveries: Deliveries,
    producer: RwLock<Arc<ThreadedProducer<Deliveries>>>,
    mending: Mending,
    wanted: Notify,
    buried: DeadLetters,
    seen_again: AtomicU64,
}

impl Broker {
    /// Makes the clients; nothing is sent before [`Broker::keep`] runs, and Kafka need not be there.
    pub fn open(settings: Settings) -> Result<Self, BrokerError> {
        settings.check()?;
        let (names, line) = (Names::of(&settings.topic_prefix), Line::new());
        let topics = Arc::new(Topics::wanting([names.results(), names.dead()]));
        let deliveries = Deliveries { line: line.clone(), topics: topics.clone() };
        let refused = |error: KafkaError| settings.refused(&error);
        let producer = settings.producer().create_with_context(deliveries.clone()).map_err(refused)?;
        let producer = RwLock::new(Arc::new(producer));
        // What it would refuse of a consumer's properties is told now.
        let consumer = settings.consumer(&names.backends()).create_with_context(line.clone());
        let _: BaseConsumer<Line> = consumer.map_err(refused)?;
        Ok(Self(Arc::new(Inner {
            settings,
            names,
            line,
            topics,
            deliveries,
            producer,
            mending: Mending::default(),
            wanted: Notify::new(),
            buried: DeadLetters::default(),
            seen_again: AtomicU64::new(0),
        })))
    }

    /// Tickets of these queues are offered or read here: their topics are wanted.
    pub fn want<'a>(&self, queues: impl IntoIterator<Item = &'a QueueName>) {
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
    ) -> Result<(Feed<Ticket>, Pump<Ticket>), BrokerError> {
        self.want([queue]);
        Pump::of(self.clone(), self.names().tickets(queue), &self.names().workers(queue), room)
    }

    /// The results, shared with the other Backends.
    pub fn results(&self) -> Result<(Feed<Posted>, Pump<Posted>), BrokerError> {
        Pump::of(self.clone(), self.names().results(), &self.names().backends(), RESULTS)
    }

    /// Whether messages of these queues can come: the brokers answer, the topics are there, and we may read them.
    pub fn serves<'a>(&self, queues: impl IntoIterator<Item = &'a QueueName>) -> bool {
        let (there, deaf) = (self.topics().there(), self.topics().deaf());
        let (there, deaf) = (there.borrow(), deaf.borrow());
        let can_come = |topic: &String| there.contains(topic) && !deaf.contains_key(topic);
        self.line().is_up() && queues.into_iter().all(|queue| can_come(&self.names().tickets(queue)))
    }

    /// Whether the brokers answer.
    pub fn is_up(&self) -> bool {
        self.line().is_up()
    }

    /// Waits until the brokers answer.
    pub async fn comes_up(&self) {
        self.line().comes_up().await;
    }

    /// What does not work at the moment, as sentences; nothing if all is well.
    pub fn troubles(&self) -> Vec<String> {
        if let Some(cause) = self.line().trouble() {
            return vec![format!("Kafka cannot be reached: {cause}")];
        }
        let missing =
            self.topics().missing().into_iter().map(|topic| format!("the topic {topic} is not there"));
        let broken =
            self.topics().broken().into_iter().map(|topic| format!("the topic {topic} takes no messages"));
        let deaf = self.topics().deaf();
        let deaf = deaf.borrow();
        let unread = deaf.iter().map(|(topic, cause)| format!("the topic {topic} cannot be read: {cause}"));
        let mute = self.mending().cause().map(|cause| format!("Kafka's producer is broken: {cause}"));
        mute.into_iter().chain(missing).chain(broken).chain(unread).collect()
    }

    /// How the topics that are wanted here are made, of those that are there.
    pub fn shapes(&self) -> BTreeMap<String, Shape> {
        self.topics().shapes()
    }

    /// Waits until messages of these queues can come, or can come no more: until it is otherwise than `served`.
    pub async fn turns(&self, queues: &[QueueName], served: bool) {
        let (mut line, mut there, mut deaf) =
            (self.line().changes(), self.topics().there(), self.topics().deaf());
        while self.serves(queues) == served {
            // Their senders live as long as this.
            tokio::select! {
                _ = line.changed() => {}
                _ = there.changed() => {}
                _ = deaf.changed() => {}
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
    pub fn seen_again(&self) -> u64 {
        self.0.seen_again.load(Ordering::Relaxed)
    }

    /// One more.
    pub(crate) fn count_again(&self) -> u64 {
        figures::again();
        self.0.seen_again.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    pub(crate) fn line(&self) -> &Line {
        &self.0.line
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.0.topics
    }

    pub(crate) fn deliveries(&self) -> &Deliveries {
        &self.0.deliveries
    }

    pub(crate) fn producer(&self) -> Arc<ThreadedProducer<Deliveries>> {
        self.0.producer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn mending(&self) -> &Mending {
        &self.0.mending
    }

    /// The one that it was before.
    pub(crate) fn replace_producer(
        &self,
        producer: Arc<ThreadedProducer<Deliveries>>,
    ) -> Arc<ThreadedProducer<Deliveries>> {
        let mut place = self.0.producer.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut place, producer)
    }

    /// Rings when a topic is wanted that was not before.
    pub(crate) fn wanted(&self) -> &Notify {
        &self.0.wanted
    }

    pub(crate) fn buried(&self) -> &DeadLetters {
        &self.0.buried
    }
}
