//! Kafka fails and comes back: callers never wait for it, and everything recovers by itself.

use std::time::{Duration, Instant};

use broker::{GroupProtocol, PublishError, Role, Settings};
use testkit::{DedicatedKafka, unique_prefix};

use crate::kit::{TestProcess, next, queue, result_message, settings, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_without_kafka_and_survives_its_outage() {
    let kafka = DedicatedKafka::start();
    kafka.kill();
    let settings =
        Settings { topic_prefix: unique_prefix(), partitions: 3, ..Settings::new(&kafka.address()) };
    let process = TestProcess::new(settings, Role::Backend);
    process.broker.declare_queues([&queue()]);
    let (mut tickets, mut results) = (process.tickets(8), process.results());
    process.until("the outage is reported", |broker| !broker.degraded_reasons().is_empty()).await;

    kafka.start_again();
    process.until("Kafka is available", |broker| broker.degraded_reasons().is_empty()).await;
    let first = ticket();
    assert!(process.broker.publish_ticket(&queue(), &first, None, None));
    let delivery = next(&mut tickets).await;
    assert_eq!(delivery.message, first);
    tickets.ack(delivery.position);

    kafka.kill();
    process.until("the outage is reported", |broker| !broker.degraded_reasons().is_empty()).await;
    // Publishing does not wait for Kafka: ten thousand tickets take less than one timeout of Kafka would.
    let began = Instant::now();
    let sent = (0..10_000).filter(|_| process.broker.publish_ticket(&queue(), &ticket(), None, None)).count();
    assert!(sent == 0 && began.elapsed() < Duration::from_secs(5), "{sent} in {:?}", began.elapsed());
    assert!(matches!(
        process.broker.publish_result(&result_message("1")).await,
        Err(PublishError::Unavailable)
    ));

    kafka.start_again();
    process.until("Kafka is back", |broker| broker.degraded_reasons().is_empty()).await;
    let (second, result) = (ticket(), result_message("2"));
    assert!(process.broker.publish_ticket(&queue(), &second, None, None));
    // The acknowledged ticket may be redelivered: whether its offset was committed before the kill is chance.
    let mut received = next(&mut tickets).await.message;
    while received == first {
        received = next(&mut tickets).await.message;
    }
    assert_eq!(received, second);
    process.broker.publish_result(&result).await.unwrap();
    assert_eq!(next(&mut results).await.message, result);
    // Leaves the groups while Kafka is up, since leaving waits for it.
    drop((tickets, results));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_with_a_fatal_error_is_reported_and_replaced_until_one_works() {
    let kafka = DedicatedKafka::start();
    kafka.kill();
    // A broker that does not support the group protocol: a fatal error for librdkafka's consumer.
    kafka.set_broker_property("group.coordinator.rebalance.protocols", "classic");
    kafka.start_again();
    let process = TestProcess::ready(Settings {
        topic_prefix: unique_prefix(),
        group_protocol: GroupProtocol::Consumer,
        ..Settings::new(&kafka.address())
    })
    .await;
    let mut subscription = process.tickets(1);
    let topic = format!("{}.tasks.default", process.settings.topic_prefix);
    let is_reported = |reason: &String| reason.starts_with(&format!("the topic {topic} cannot be read: "));
    process.until("the topic is reported", |broker| broker.degraded_reasons().iter().any(is_reported)).await;
    assert!(!process.broker.is_serving([&queue()]), "a worker must know that it receives no tickets");

    kafka.kill();
    kafka.set_broker_property("group.coordinator.rebalance.protocols", "classic,consumer");
    kafka.start_again();
    process.until("the topic can be read", |broker| broker.is_serving([&queue()])).await;
    let ticket = ticket();
    assert!(process.broker.publish_ticket(&queue(), &ticket, None, None));
    assert_eq!(next(&mut subscription).await.message, ticket);
    drop(subscription);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_for_an_outage_names_the_address() {
    let process = TestProcess::new(
        Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..settings() },
        Role::Worker,
    );
    process
        .until("the address is named", |broker| {
            broker.degraded_reasons().iter().any(|reason| reason.contains("127.0.0.1:1"))
        })
        .await;
}
