//! The topics of a cluster as an administrator of Kafka sees them: counted, emptied, deleted, duplicated and replayed.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::groups::GroupInfo;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::metadata::MetadataPartition;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::{interval, timeout};

use crate::kit::wait_until::{MAX_WAIT, wait_until};

/// The pause before a request that Kafka does not answer yet is sent again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The topics, dead letters apart, and consumer groups with one prefix, at one broker.
pub struct KafkaTopics {
    address: String,
    prefix: String,
}

/// A partition and the range of offsets that it holds: from `low` to before `high`.
struct PartitionRange {
    partition: i32,
    low: i64,
    high: i64,
}

impl KafkaTopics {
    /// The topics with this prefix at the broker with this address.
    pub fn new(address: String, prefix: &str) -> Self {
        Self { address, prefix: prefix.to_owned() }
    }

    /// The topics of tickets and results.
    fn names(&self) -> [String; 2] {
        [format!("{}.tasks.default", self.prefix), format!("{}.results", self.prefix)]
    }

    /// The consumer groups of the topics of tickets and results. A broker lists a group once it has loaded the group's coordinator.
    async fn groups(&self) -> [String; 2] {
        let consumer = self.consumer("auditor");
        let prefixes = ["workers.default", "backends"].map(|of| format!("{}.{of}.", self.prefix));
        let find = || {
            let groups = consumer.fetch_group_list(None, MAX_WAIT).ok()?;
            let named = |prefix: &String| {
                groups
                    .groups()
                    .iter()
                    .map(GroupInfo::name)
                    .find(|name| name.starts_with(prefix))
                    .map(str::to_owned)
            };
            let [workers, backends] = prefixes.each_ref().map(named);
            Some([workers?, backends?])
        };
        let search = async {
            let mut checks = interval(RETRY_INTERVAL);
            loop {
                checks.tick().await;
                if let Some(groups) = find() {
                    return groups;
                }
            }
        };
        timeout(MAX_WAIT, search).await.expect("the groups exist")
    }

    /// The number of dead letters.
    pub fn count_dead_letters(&self) -> i64 {
        let topic = format!("{}.dlq", self.prefix);
        ranges(&self.consumer("auditor"), &topic).into_iter().map(|range| range.high - range.low).sum()
    }

    /// Deletes every message that is in the topics now.
    pub async fn empty(&self) {
        let consumer = self.consumer("auditor");
        let mut ends = TopicPartitionList::new();
        for topic in self.names() {
            for range in ranges(&consumer, &topic) {
                ends.add_partition_offset(&topic, range.partition, Offset::Offset(range.high)).unwrap();
            }
        }
        let (admin, options) = self.admin();
        admin.delete_records(&ends, &options).await.unwrap();
    }

    /// Deletes the topics.
    pub async fn delete(&self) {
        let (admin, options) = self.admin();
        let names = self.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for deleted in admin.delete_topics(&names, &options).await.unwrap() {
            deleted.unwrap();
        }
    }

    /// Publishes every message of the topics a second time, in another order.
    pub fn duplicate_messages(&self) {
        let producer: FutureProducer = self.config().create().unwrap();
        for topic in self.names() {
            for message in self.read_all(&topic).iter().rev() {
                let record: FutureRecord<'_, [u8], [u8]> =
                    FutureRecord::to(&topic).payload(message.payload().unwrap()).key(message.key().unwrap());
                // The producer's queue has room for all of them; `flush` waits for their delivery.
                drop(producer.send_result(record).unwrap());
            }
        }
        producer.flush(MAX_WAIT).unwrap();
    }

    /// Sets the consumer groups back to the first message, as soon as a group has no members: a member that left without
    /// notice remains one until its session expires.
    pub async fn rewind_consumer_groups(&self) {
        for (topic, group) in self.names().iter().zip(self.groups().await) {
            let consumer = self.consumer(&group);
            let mut starts = TopicPartitionList::new();
            for range in ranges(&consumer, topic) {
                starts.add_partition_offset(topic, range.partition, Offset::Offset(range.low)).unwrap();
            }
            let rewind = async {
                let mut retries = interval(RETRY_INTERVAL);
                loop {
                    retries.tick().await;
                    match consumer.commit(&starts, CommitMode::Sync) {
                        Err(error)
                            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownMemberId) => {}
                        result => break result,
                    }
                }
            };
            timeout(MAX_WAIT, rewind).await.expect("the group loses its members").unwrap();
        }
    }

    /// Waits until the consumer groups have committed the end of every partition.
    pub async fn wait_until_consumed(&self) {
        for (topic, group) in self.names().iter().zip(self.groups().await) {
            let consumer = self.consumer(&group);
            wait_until(&format!("{group} has consumed {topic}"), async || is_consumed(&consumer, topic))
                .await;
        }
    }

    /// Every message that is in a topic now.
    fn read_all(&self, topic: &str) -> Vec<OwnedMessage> {
        let consumer = self.consumer("auditor");
        let mut starts = TopicPartitionList::new();
        let mut count = 0;
        for range in ranges(&consumer, topic) {
            starts.add_partition_offset(topic, range.partition, Offset::Beginning).unwrap();
            count += range.high - range.low;
        }
        consumer.assign(&starts).unwrap();
        let message = |_| consumer.poll(MAX_WAIT).expect("the topic holds another message").unwrap().detach();
        (0..count).map(message).collect()
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }

    fn consumer(&self, group: &str) -> BaseConsumer {
        self.config().set("group.id", group).set("enable.auto.commit", "false").create().unwrap()
    }

    fn admin(&self) -> (AdminClient<DefaultClientContext>, AdminOptions) {
        let options = AdminOptions::new().request_timeout(Some(MAX_WAIT)).operation_timeout(Some(MAX_WAIT));
        (self.config().create().unwrap(), options)
    }
}

/// The range of each partition of a topic.
fn ranges(consumer: &BaseConsumer, topic: &str) -> Vec<PartitionRange> {
    let metadata = consumer.fetch_metadata(Some(topic), MAX_WAIT).unwrap();
    let partitions = metadata.topics()[0].partitions().iter().map(MetadataPartition::id);
    let ranges = partitions.map(|partition| {
        let (low, high) = watermarks(consumer, topic, partition);
        PartitionRange { partition, low, high }
    });
    ranges.collect()
}

/// The offsets of the first message of a partition and after the last. While the partition gets another leader, the leader is asked for again.
fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    let began = Instant::now();
    loop {
        match consumer.fetch_watermarks(topic, partition, MAX_WAIT) {
            Err(KafkaError::MetadataFetch(RDKafkaErrorCode::NotLeaderForPartition))
                if began.elapsed() < MAX_WAIT =>
            {
                consumer.fetch_metadata(Some(topic), MAX_WAIT).unwrap();
            }
            answer => return answer.unwrap(),
        }
    }
}

/// Whether the consumer's group has committed the end of every partition of a topic that holds messages.
fn is_consumed(consumer: &BaseConsumer, topic: &str) -> bool {
    let ranges = ranges(consumer, topic);
    let mut partitions = TopicPartitionList::new();
    for range in &ranges {
        partitions.add_partition(topic, range.partition);
    }
    let committed = consumer.committed_offsets(partitions, MAX_WAIT).unwrap();
    ranges.iter().all(|range| {
        let committed = committed.find_partition(topic, range.partition).unwrap().offset();
        range.low == range.high || committed == Offset::Offset(range.high)
    })
}
