//! A broker with names of its own, and looks at what is really in Kafka.

use std::time::Duration;

use broker::{Broker, ConsumeLoop, Message, ResultMessage, Role, Settings, Subscription, Ticket};
use domain::{ClaimId, QueueName, RawJson, Report, ReportOutcome, TaskId};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
use rdkafka::{Offset, TopicPartitionList};
use testkit::{kafka_server, own_prefix};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long a test waits for what must come; only a broken program lets it pass.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The way to Kafka of one process, kept until it is dropped.
pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) settings: Settings,
    pub(crate) running: TaskTracker,
    stop: CancellationToken,
}

/// Settings for the shared Kafka, with names that no other test has.
pub(crate) fn settings() -> Settings {
    Settings { topic_prefix: own_prefix(), partitions: 3, ..Settings::of(&kafka_server()) }
}

pub(crate) fn queue() -> QueueName {
    QueueName::default()
}

impl Bench {
    /// A process with `settings` in `role`.
    pub(crate) fn of(settings: Settings, role: Role) -> Self {
        let broker = Broker::open(settings.clone()).expect("sound settings");
        let (running, stop) = (TaskTracker::new(), CancellationToken::new());
        running.spawn(broker.clone().manage_topics(role, stop.clone()));
        Self { broker, settings, running, stop }
    }

    /// A Backend whose topics are there.
    pub(crate) async fn ready(settings: Settings) -> Self {
        let bench = Self::of(settings, Role::Backend);
        bench.broker.declare_queues([&queue()]);
        bench.until("all topics are there", |broker| broker.degraded_reasons().is_empty()).await;
        bench
    }

    /// Waits until `holds`.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Broker) -> bool) {
        let look = async {
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while !holds(&self.broker) {
                looks.tick().await;
            }
        };
        assert!(timeout(PATIENCE, look).await.is_ok(), "{what}: {:?}", self.broker.degraded_reasons());
    }

    /// Joins the workers of the usual queue.
    pub(crate) fn tickets(&self, room: usize) -> Subscription<Ticket> {
        self.pumped(self.broker.tickets(&queue(), room).expect("sound settings"))
    }

    /// Joins the Backends.
    pub(crate) fn results(&self) -> Subscription<ResultMessage> {
        self.pumped(self.broker.results().expect("sound settings"))
    }

    fn pumped<M: Message>(&self, (feed, pump): (Subscription<M>, ConsumeLoop<M>)) -> Subscription<M> {
        self.running.spawn(pump.run());
        feed
    }

    /// Waits until every feed that was dropped has left its group.
    pub(crate) async fn leave(self) {
        self.stop.cancel();
        self.running.close();
        timeout(PATIENCE, self.running.wait()).await.expect("pumps end with their feeds");
    }

    /// Everything that is in a topic, oldest first in each partition.
    pub(crate) fn content(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.bootstrap_servers)
            .set("group.id", "reader")
            .create()
            .expect("a plain consumer");
        let topic = format!("{}.{topic}", self.settings.topic_prefix);
        let metadata = reader.fetch_metadata(Some(&topic), PATIENCE).expect("the topic is there");
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            all.add_partition_offset(&topic, partition.id(), Offset::Beginning).expect("a partition");
        }
        reader.assign(&all).expect("partitions that are there");
        let mut content = Vec::new();
        while content.len() < count {
            let message = reader.poll(PATIENCE).expect("another message").expect("a message");
            content.push(message.detach());
        }
        content
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Whoever administers the brokers.
pub(crate) fn admin(bench: &Bench) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", &bench.settings.bootstrap_servers)
        .create()
        .expect("a plain client")
}

/// Makes a topic of one partition.
pub(crate) async fn make(bench: &Bench, topic: &str) {
    let made = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let made = admin(bench).create_topics([&made], &options).await.expect("the brokers answer");
    assert_eq!(made, [Ok(topic.to_owned())]);
}

/// The next message of a feed.
pub(crate) async fn next<M>(feed: &mut Subscription<M>) -> broker::Delivery<M> {
    timeout(PATIENCE, feed.next()).await.expect("a message comes").expect("the pump runs")
}

pub(crate) fn ticket() -> Ticket {
    Ticket { id: TaskId(Uuid::new_v4()), name: "DEMO".parse().expect("a type"), attempt: 1 }
}

pub(crate) fn posted(result: &str) -> ResultMessage {
    let reported = ReportOutcome::Result(RawJson::parse(result.to_owned()).expect("JSON"));
    let (id, claim) = (TaskId(Uuid::new_v4()), ClaimId::random());
    let report = Report { id, attempt: 1, claim, reported, trace: None };
    ResultMessage { worker: "rig".parse().expect("a name"), report }
}
