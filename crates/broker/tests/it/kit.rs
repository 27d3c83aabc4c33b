//! What the tests share: a process with topic names of its own, and a reader of what a topic contains.

use std::time::Duration;

use broker::{Broker, ConsumeLoop, Message, MessageReceiver, ResultMessage, Role, Settings, Ticket};
use domain::{AttemptOutcome, ClaimId, InstallationId, Priority, QueueName, RawJson, Report, TaskId};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::OwnedMessage;
use rdkafka::{Offset, TopicPartitionList};
use testkit::{kafka_address, unique_prefix};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long a test waits for an event that must happen.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_mins(1);

/// One process's broker with its topic manager, which runs until this is dropped.
pub(crate) struct TestProcess {
    pub(crate) broker: Broker,
    pub(crate) settings: Settings,
    pub(crate) running: TaskTracker,
    cancel: CancellationToken,
}

/// Settings for the shared Kafka, with a topic prefix that no other test uses.
pub(crate) fn settings() -> Settings {
    Settings { topic_prefix: unique_prefix(), partitions: 3, ..Settings::new(&kafka_address()) }
}

/// The installation of all processes, unless a test has two.
pub(crate) const INSTALLATION: InstallationId = InstallationId(Uuid::from_u128(1));

/// The queue of all tests.
pub(crate) fn queue() -> QueueName {
    QueueName::default()
}

impl TestProcess {
    /// A process with `settings` in `role`.
    pub(crate) fn new(settings: Settings, role: Role) -> Self {
        let broker = Broker::open(settings.clone()).expect("valid settings");
        let (running, cancel) = (TaskTracker::new(), CancellationToken::new());
        running.spawn(broker.clone().manage_topics(role, cancel.clone()));
        Self { broker, settings, running, cancel }
    }

    /// A Backend whose topics exist.
    pub(crate) async fn ready(settings: Settings) -> Self {
        let process = Self::new(settings, Role::Backend);
        process.broker.declare_queues([&queue()]);
        process.until("all topics exist", |broker| broker.degraded_reasons().is_empty()).await;
        process
    }

    /// Waits until `condition` holds; `what` describes it.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Broker) -> bool) {
        let poll = async {
            let mut interval = tokio::time::interval(Duration::from_millis(20));
            while !condition(&self.broker) {
                interval.tick().await;
            }
        };
        assert!(timeout(TEST_TIMEOUT, poll).await.is_ok(), "{what}: {:?}", self.broker.degraded_reasons());
    }

    /// Subscribes as a worker of the tests' queue.
    pub(crate) fn tickets(&self, capacity: usize) -> MessageReceiver<Ticket> {
        self.tickets_of(INSTALLATION, capacity)
    }

    /// The same as a worker of this installation.
    pub(crate) fn tickets_of(
        &self,
        installation: InstallationId,
        capacity: usize,
    ) -> MessageReceiver<Ticket> {
        self.run_loop(self.broker.tickets(installation, &queue(), capacity).expect("valid settings"))
    }

    /// Subscribes as a Backend.
    pub(crate) fn results(&self) -> MessageReceiver<ResultMessage> {
        self.results_of(INSTALLATION)
    }

    /// The same as a Backend of this installation.
    pub(crate) fn results_of(&self, installation: InstallationId) -> MessageReceiver<ResultMessage> {
        self.run_loop(self.broker.results(installation).expect("valid settings"))
    }

    fn run_loop<M: Message>(
        &self,
        (subscription, consume_loop): (MessageReceiver<M>, ConsumeLoop<M>),
    ) -> MessageReceiver<M> {
        self.running.spawn(consume_loop.run());
        subscription
    }

    /// Waits until every consumer has left its group; all subscriptions must be dropped before.
    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        self.running.close();
        timeout(TEST_TIMEOUT, self.running.wait())
            .await
            .expect("a consume loop ends when its subscription is dropped");
    }

    /// The first `count` messages of a topic, oldest first in each partition.
    pub(crate) fn content(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        let reader: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.settings.bootstrap_servers)
            .set("group.id", "reader")
            .create()
            .expect("a plain consumer");
        let topic = format!("{}.{topic}", self.settings.topic_prefix);
        let metadata = reader.fetch_metadata(Some(&topic), TEST_TIMEOUT).expect("the topic is there");
        let mut all = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            all.add_partition_offset(&topic, partition.id(), Offset::Beginning).expect("a partition");
        }
        reader.assign(&all).expect("existing partitions");
        let mut content = Vec::new();
        while content.len() < count {
            let message = reader.poll(TEST_TIMEOUT).expect("another message").expect("a message");
            content.push(message.detach());
        }
        content
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// An admin client for the process's Kafka.
pub(crate) fn admin(process: &TestProcess) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", &process.settings.bootstrap_servers)
        .create()
        .expect("a plain client")
}

/// Creates a topic with one partition.
pub(crate) async fn create_topic(process: &TestProcess, topic: &str) {
    let topic_spec = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let options = AdminOptions::new().request_timeout(Some(TEST_TIMEOUT));
    let created = admin(process).create_topics([&topic_spec], &options).await.expect("the brokers answer");
    assert_eq!(created, [Ok(topic.to_owned())]);
}

/// The next message of a subscription.
pub(crate) async fn next<M>(subscription: &mut MessageReceiver<M>) -> broker::Delivery<M> {
    timeout(TEST_TIMEOUT, subscription.next()).await.expect("a message is received").expect("the loop runs")
}

/// A ticket for a task that nobody has.
pub(crate) fn ticket() -> Ticket {
    let type_name = "DEMO".parse().expect("a type");
    Ticket {
        id: TaskId(Uuid::new_v4()),
        type_name,
        attempt: 1,
        priority: Priority::DEFAULT,
        installation: INSTALLATION,
    }
}

/// A result message with this JSON as its result.
pub(crate) fn result_message(result: &str) -> ResultMessage {
    let reported = AttemptOutcome::Result(RawJson::parse(result.to_owned()).expect("JSON"));
    let (id, claim) = (TaskId(Uuid::new_v4()), ClaimId::random());
    let type_name = "DEMO".parse().expect("a type");
    let report = Report { id, type_name, attempt: 1, claim, reported, retry: None, trace: None };
    ResultMessage { installation: INSTALLATION, worker: "rig".parse().expect("a name"), report }
}
