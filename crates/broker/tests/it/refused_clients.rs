//! Missing rights, a full consumer group, a member with another assignor, and a session timeout that the brokers refuse are reported
//! as degraded. The first three recover once the cause is gone.

use broker::{Role, Sasl, SaslMechanism, Security, Settings};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use testkit::{DedicatedKafka, unique_prefix};

use crate::kit::{INSTALLATION, TEST_TIMEOUT, TestProcess, next, queue, result_message, settings, ticket};

/// Settings of a user that authenticates by SASL.
fn authenticated(kafka: &DedicatedKafka, topic_prefix: &str) -> Settings {
    let tls_access = kafka.tls_access();
    let (username, password) = (tls_access.user, tls_access.password.into());
    let sasl = Some(Sasl { mechanism: SaslMechanism::ScramSha512, username, password });
    let security = Security { tls: true, sasl, ca: Some(tls_access.ca), ..Security::default() };
    let topic_prefix = topic_prefix.to_owned();
    Settings {
        topic_prefix,
        partitions: 3,
        security,
        provision: false,
        ..Settings::new(&tls_access.sasl_tls)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_without_the_right_to_write_recovers_once_it_is_granted() {
    let kafka = DedicatedKafka::start();
    kafka.kill();
    kafka.set_broker_property(
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    );
    // The broker itself, and clients of its listener without authentication.
    kafka.set_broker_property("super.users", "User:ANONYMOUS");
    kafka.start_again();
    let prefix = unique_prefix();
    let settings =
        Settings { topic_prefix: prefix.clone(), partitions: 3, ..Settings::new(&kafka.address()) };
    let owner = TestProcess::ready(settings).await;
    let process = TestProcess::new(authenticated(&kafka, &prefix), Role::Worker);
    let has_failed = |reason: &String| reason.starts_with("Kafka's producer has failed: ");
    process.until("the producer has failed", |broker| broker.degraded_reasons().iter().any(has_failed)).await;
    assert!(!process.broker.publish_ticket(&queue(), &ticket(), None, None));
    assert!(process.broker.publish_result(&result_message("1")).await.is_err());

    kafka.kill();
    kafka.set_broker_property("super.users", "User:ANONYMOUS;User:tasker");
    kafka.start_again();
    process.broker.declare_queues([&queue()]);
    process.until("nothing is degraded", |broker| broker.degraded_reasons().is_empty()).await;
    let mut results = owner.results();
    let result = result_message("2");
    process.broker.publish_result(&result).await.unwrap();
    assert_eq!(next(&mut results).await.message, result);
    drop(results);
    owner.stop().await;
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_is_reported_and_joined_once_there_is_room() {
    let kafka = DedicatedKafka::start();
    kafka.kill();
    kafka.set_broker_property("group.max.size", "1");
    kafka.start_again();
    let prefix = unique_prefix();
    let settings =
        Settings { topic_prefix: prefix.clone(), partitions: 3, ..Settings::new(&kafka.address()) };
    let first = TestProcess::ready(settings.clone()).await;
    let mut member = first.tickets(1);
    let before = ticket();
    assert!(first.broker.publish_ticket(&queue(), &before, None, None));
    let delivery = next(&mut member).await;
    assert_eq!(delivery.message, before, "the first consumer is a member");
    member.ack(delivery.position);

    let second = TestProcess::ready(settings).await;
    let mut waiting = second.tickets(1);
    let reason = format!("the topic {prefix}.tasks.default cannot be read: ");
    let is_reported = |found: &String| found.starts_with(&reason);
    second.until("the topic is reported", |broker| broker.degraded_reasons().iter().any(is_reported)).await;
    assert!(!second.broker.is_serving([&queue()]));

    drop(member);
    first.stop().await;
    second.until("there is room in the group", |broker| broker.is_serving([&queue()])).await;
    let after = ticket();
    assert!(second.broker.publish_ticket(&queue(), &after, None, None));
    assert_eq!(next(&mut waiting).await.message, after);
    drop(waiting);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_timeout_that_the_brokers_refuse_is_reported() {
    let properties = [("session.timeout.ms".to_owned(), "500".into())].into();
    let process = TestProcess::ready(Settings { properties, ..settings() }).await;
    let subscription = process.tickets(1);
    let is_reported =
        |reason: &String| reason.contains("cannot be read: ") && reason.contains("session timeout");
    process.until("it is reported", |broker| broker.degraded_reasons().iter().any(is_reported)).await;
    drop(subscription);
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_another_assignor_is_reported() {
    let process = TestProcess::ready(settings()).await;
    let prefix = &process.settings.topic_prefix;
    let foreign: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &process.settings.bootstrap_servers)
        .set("group.id", format!("{prefix}.workers.{}.{INSTALLATION}", queue()))
        .set("partition.assignment.strategy", "range")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    foreign.subscribe(&[&format!("{prefix}.tasks.{}", queue())]).unwrap();
    let published = ticket();
    assert!(process.broker.publish_ticket(&queue(), &published, None, None));
    // A poll also returns for a rebalance, with nothing.
    let received = std::iter::repeat_with(|| foreign.poll(TEST_TIMEOUT)).flatten().next();
    received.expect("it receives the ticket").unwrap();
    let mut subscription = process.tickets(1);
    let is_reported = |reason: &String| reason.contains("cannot be read: ") && reason.contains("protocol");
    process.until("it is reported", |broker| broker.degraded_reasons().iter().any(is_reported)).await;
    assert!(!process.broker.is_serving([&queue()]), "tasks are pulled meanwhile");
    drop(foreign);
    assert_eq!(next(&mut subscription).await.message, published, "the member has committed nothing");
    process.until("it is over", |broker| broker.degraded_reasons().is_empty()).await;
    drop(subscription);
    process.stop().await;
}
