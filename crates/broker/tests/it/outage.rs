//! Kafka goes, and comes back: nothing waits for it, and everything goes on by itself.

use std::time::{Duration, Instant};

use broker::{NotPosted, Role, Settings};
use testkit::{OwnKafka, own_prefix};

use crate::kit::{Bench, next, posted, queue, settings, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_before_kafka_and_outlives_its_death() {
    let kafka = OwnKafka::start();
    kafka.kill();
    let settings = Settings { topic_prefix: own_prefix(), partitions: 3, ..Settings::of(&kafka.address()) };
    let bench = Bench::of(settings, Role::Backend);
    bench.broker.want([&queue()]);
    let (mut tickets, mut results) = (bench.tickets(8), bench.results());
    bench.until("it is said that Kafka is away", |broker| !broker.troubles().is_empty()).await;

    kafka.start_again();
    bench.until("Kafka is there", |broker| broker.troubles().is_empty()).await;
    let first = ticket();
    assert!(bench.broker.offer(&queue(), &first, None, None));
    let incoming = next(&mut tickets).await;
    assert_eq!(incoming.message, first);
    tickets.done(incoming.mark);

    kafka.kill();
    bench.until("it is said that Kafka is away", |broker| !broker.troubles().is_empty()).await;
    // Neither waits for Kafka: ten thousand offers take less than one time limit of Kafka would.
    let began = Instant::now();
    let sent = (0..10_000).filter(|_| bench.broker.offer(&queue(), &ticket(), None, None)).count();
    assert!(sent == 0 && began.elapsed() < Duration::from_secs(5), "{sent} in {:?}", began.elapsed());
    assert!(matches!(bench.broker.post(&posted("1"), None).await, Err(NotPosted::Shut)));

    kafka.start_again();
    bench.until("Kafka is back", |broker| broker.troubles().is_empty()).await;
    let (second, result) = (ticket(), posted("2"));
    assert!(bench.broker.offer(&queue(), &second, None, None));
    // What was done with may come again: whether Kafka still heard of it before it died is chance.
    let mut seen = next(&mut tickets).await.message;
    while seen == first {
        seen = next(&mut tickets).await.message;
    }
    assert_eq!(seen, second);
    bench.broker.post(&result, None).await.unwrap();
    assert_eq!(next(&mut results).await.message, result);
    // They say goodbye while somebody hears it.
    drop((tickets, results));
    bench.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_nobody_is_says_so() {
    let bench =
        Bench::of(Settings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..settings() }, Role::Worker);
    bench
        .until("it is said", |broker| broker.troubles().iter().any(|said| said.contains("127.0.0.1:1")))
        .await;
}
