//! What the database, the brokers and the workers' own words say of a cluster; and hands that spoil its topics.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use database::{Clock, Db};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use store::Store;
use tokio::time::{interval, timeout};
use uuid::Uuid;

use crate::kit::cluster::Cluster;

/// How long a test waits for what must come; only a broken program lets it pass.
const PATIENCE: Duration = Duration::from_mins(1);

/// A row of `outcome`: id, status, attempt, end.
pub type Outcome = (Uuid, String, i32, i64);

/// Everything that was accepted has ended, and the books say so.
pub async fn books_balance(url: &str, at_least: u64, exactly: Option<u64>) {
    let store = Store::new(Db::open(url).unwrap(), Clock::System);
    let counts = store.counts().await.unwrap();
    store.close().await;
    assert!(counts.balance(), "{counts:?}");
    assert_eq!((counts.created, counts.running), (0, 0), "{counts:?}");
    assert!(
        counts.accepted >= at_least && exactly.is_none_or(|exactly| counts.accepted == exactly),
        "{counts:?}"
    );
}

/// The end of every task.
pub async fn outcomes(cluster: &Cluster) -> HashSet<Outcome> {
    let mut connection = PgConnection::connect(&cluster.database().url).await.unwrap();
    let rows: Vec<Outcome> = sqlx::query_as("select id, status, attempt, ended_at from outcome")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    rows.into_iter().collect()
}

/// Gives a table another name.
pub async fn rename_table(cluster: &Cluster, from: &str, to: &str) {
    let mut connection = PgConnection::connect(&cluster.database().url).await.unwrap();
    let rename = AssertSqlSafe(format!("alter table {from} rename to {to}"));
    connection.execute(rename).await.unwrap();
}

/// By the workers' own words no task was worked on twice, unless it was handed back between.
pub fn nothing_ran_twice(cluster: &mut Cluster) {
    let mut ends: HashMap<&str, usize> = HashMap::new();
    let said = cluster.said_by_workers();
    for line in said.iter().filter_map(|line| line.split_once(" task ")) {
        let (id, rest) = line.1.split_once(' ').unwrap_or_default();
        let ended = ["has its result", "failed", "was stopped"].iter().any(|end| rest.starts_with(end));
        if ended {
            *ends.entry(id).or_default() += 1;
        }
    }
    assert!(!ends.is_empty(), "the workers say what they do");
    let twice: Vec<_> = ends.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

/// How many tasks came by ticket and how many by pull, by the workers' own words.
pub fn by_ticket_and_by_pull(cluster: &mut Cluster) -> (usize, usize) {
    let said = cluster.said_by_workers();
    let count = |way: &str| {
        let counts =
            said.iter().filter_map(|line| line.split_once(way)?.0.rsplit(' ').next()?.parse::<usize>().ok());
        counts.sum()
    };
    (count(" tasks were granted by ticket"), count(" tasks were granted by pull"))
}

fn topics(prefix: &str) -> [String; 2] {
    [format!("{prefix}.tasks.default"), format!("{prefix}.results")]
}

fn client(server: &str, group: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", server)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .unwrap()
}

fn admin(server: &str) -> (AdminClient<DefaultClientContext>, AdminOptions) {
    let admin = ClientConfig::new().set("bootstrap.servers", server).create().unwrap();
    let patience = Some(PATIENCE);
    (admin, AdminOptions::new().request_timeout(patience).operation_timeout(patience))
}

/// Each partition of a topic with the end of what it holds.
fn ends(consumer: &BaseConsumer, topic: &str) -> Vec<(i32, i64, i64)> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let partitions = metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id);
    let ends = partitions.map(|partition| {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
        (partition, low, high)
    });
    ends.collect()
}

/// How many dead letters there are.
pub fn dead_letters(server: &str, prefix: &str) -> i64 {
    let topic = format!("{prefix}.dlq");
    ends(&client(server, "auditor"), &topic).into_iter().map(|(_, low, high)| high - low).sum()
}

/// Deletes every message that is in the topics now.
pub async fn empty_topics(server: &str, prefix: &str) {
    let consumer = client(server, "auditor");
    let mut all = TopicPartitionList::new();
    for topic in topics(prefix) {
        for (partition, _, high) in ends(&consumer, &topic) {
            all.add_partition_offset(&topic, partition, Offset::Offset(high)).unwrap();
        }
    }
    let (admin, options) = admin(server);
    admin.delete_records(&all, &options).await.unwrap();
}

/// Deletes the topics themselves.
pub async fn delete_topics(server: &str, prefix: &str) {
    let (admin, options) = admin(server);
    let topics = topics(prefix);
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    for deleted in admin.delete_topics(&names, &options).await.unwrap() {
        deleted.unwrap();
    }
}

/// Everything that is in a topic now.
fn content(server: &str, topic: &str) -> Vec<OwnedMessage> {
    let consumer = client(server, "auditor");
    let mut all = TopicPartitionList::new();
    let mut count = 0;
    for (partition, low, high) in ends(&consumer, topic) {
        all.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        count += high - low;
    }
    consumer.assign(&all).unwrap();
    (0..count).map(|_| consumer.poll(PATIENCE).expect("another message").unwrap().detach()).collect()
}

/// Sends every message of the topics once more, in another order.
pub fn double_messages(server: &str, prefix: &str) {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", server).create().unwrap();
    for topic in topics(prefix) {
        for message in content(server, &topic).iter().rev() {
            let record: FutureRecord<'_, [u8], [u8]> =
                FutureRecord::to(&topic).payload(message.payload().unwrap()).key(message.key().unwrap());
            // Sent in order, waited for at the end: a queue holds them all.
            drop(producer.send_result(record).unwrap());
        }
    }
    rdkafka::producer::Producer::flush(&producer, PATIENCE).unwrap();
}

/// Lets the groups begin at the first message again, as soon as nobody is a member of them: who has gone without a goodbye
/// that was heard is one until its session is over.
pub async fn rewind_groups(server: &str, prefix: &str) {
    for (topic, group) in topics(prefix).iter().zip(groups(prefix)) {
        let consumer = client(server, &group);
        let mut all = TopicPartitionList::new();
        for (partition, low, _) in ends(&consumer, topic) {
            all.add_partition_offset(topic, partition, Offset::Offset(low)).unwrap();
        }
        let rewind = async {
            let mut tries = interval(Duration::from_millis(100));
            loop {
                tries.tick().await;
                match consumer.commit(&all, CommitMode::Sync) {
                    Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownMemberId) => {}
                    done => break done,
                }
            }
        };
        timeout(PATIENCE, rewind).await.expect("members that stay").unwrap();
    }
}

fn groups(prefix: &str) -> [String; 2] {
    [format!("{prefix}.workers.default"), format!("{prefix}.backends")]
}

/// Waits until the groups have seen every message.
pub async fn everything_was_read(server: &str, prefix: &str) {
    for (topic, group) in topics(prefix).iter().zip(groups(prefix)) {
        let consumer = client(server, &group);
        let is_read = || {
            let mut all = TopicPartitionList::new();
            let ends = ends(&consumer, topic);
            for (partition, ..) in &ends {
                all.add_partition(topic, *partition);
            }
            let committed = consumer.committed_offsets(all, PATIENCE).unwrap();
            ends.iter().all(|(partition, low, high)| {
                let committed = committed.find_partition(topic, *partition).unwrap().offset();
                low == high || committed == Offset::Offset(*high)
            })
        };
        let look = async {
            let mut looks = interval(Duration::from_millis(100));
            while !is_read() {
                looks.tick().await;
            }
        };
        assert!(timeout(PATIENCE, look).await.is_ok(), "{group} has not read {topic}");
    }
}
