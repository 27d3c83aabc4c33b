//! Kafka goes, and comes back: nothing waits for it, and everything goes on by itself.

use std::time::{Duration, Instant};

use broker::{GroupProtocol, PublishError, Role, Settings};
use testkit::{OwnKafka, own_prefix};

use crate::kit::{Bench, next, posted, queue, settings, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_before_kafka_and_outlives_its_death() {
    let kafka = OwnKafka::start();
    kafka.kill();
    let settings = Settings { topic_prefix: own_prefix(), partitions: 3, ..Settings::of(&kafka.address()) };
    let bench = Bench::of(settings, Role::Backend);
    bench.broker.declare_queues([&queue()]);
    let (mut tickets, mut results) = (bench.tickets(8), bench.results());
    bench.until("it is said that Kafka is away", |broker| !broker.degraded_reasons().is_empty()).await;

    kafka.start_again();
    bench.until("Kafka is there", |broker| broker.degraded_reasons().is_empty()).await;
    let first = ticket();
    assert!(bench.broker.publish_ticket(&queue(), &first, None, None));
    let incoming = next(&mut tickets).await;
    assert_eq!(incoming.message, first);
    tickets.ack(incoming.mark);

    kafka.kill();
    bench.until("it is said that Kafka is away", |broker| !broker.degraded_reasons().is_empty()).await;
    // Neither waits for Kafka: ten thousand offers take less than one time limit of Kafka would.
    let began = Instant::now();
    let sent = (0..10_000).filter(|_| bench.broker.publish_ticket(&queue(), &ticket(), None, None)).count();
    assert!(sent == 0 && began.elapsed() < Duration::from_secs(5), "{sent} in {:?}", began.elapsed());
    assert!(matches!(bench.broker.publish_result(&posted("1")).await, Err(PublishError::Unavailable)));

    kafka.start_again();
    bench.until("Kafka is back", |broker| broker.degraded_reasons().is_empty()).await;
    let (second, result) = (ticket(), posted("2"));
    assert!(bench.broker.publish_ticket(&queue(), &second, None, None));
    // What was done with may come again: whether Kafka still heard of it before it died is chance.
    let mut seen = next(&mut tickets).await.message;
    while seen == first {
        seen = next(&mut tickets).await.message;
    }
    assert_eq!(seen, second);
    bench.broker.publish_result(&result).await.unwrap();
    assert_eq!(next(&mut results).await.message, result);
    // They say goodbye while somebody hears it.
    drop((tickets, results));
    bench.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_cannot_be_read_is_named_and_read_once_it_can_be() {
    let kafka = OwnKafka::start();
    kafka.kill();
    // A broker that does not know the protocol of our groups: librdkafka's consumer is broken for good then.
    kafka.set("group.coordinator.rebalance.protocols", "classic");
    kafka.start_again();
    let bench = Bench::ready(Settings {
        topic_prefix: own_prefix(),
        group_protocol: GroupProtocol::Consumer,
        ..Settings::of(&kafka.address())
    })
    .await;
    let mut feed = bench.tickets(1);
    let topic = format!("{}.tasks.default", bench.settings.topic_prefix);
    let named = |said: &String| said.starts_with(&format!("the topic {topic} cannot be read: "));
    bench.until("the topic is named", |broker| broker.degraded_reasons().iter().any(named)).await;
    assert!(!bench.broker.is_serving([&queue()]), "who waits for tickets must know that none come");

    kafka.kill();
    kafka.set("group.coordinator.rebalance.protocols", "classic,consumer");
    kafka.start_again();
    bench.until("it is read", |broker| broker.is_serving([&queue()])).await;
    let ticket = ticket();
    assert!(bench.broker.publish_ticket(&queue(), &ticket, None, None));
    assert_eq!(next(&mut feed).await.message, ticket);
    drop(feed);
    bench.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_nobody_is_says_so() {
    let bench =
        Bench::of(Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..settings() }, Role::Worker);
    bench
        .until("it is said", |broker| {
            broker.degraded_reasons().iter().any(|said| said.contains("127.0.0.1:1"))
        })
        .await;
}
