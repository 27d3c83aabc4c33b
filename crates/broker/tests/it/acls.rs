//! Who lacks a right, or a place in a group, is told so; whatever else there is goes on, and all of it once they have it.

use broker::{Role, Sasl, SaslMechanism, Security, Settings};
use testkit::{OwnKafka, own_prefix};

use crate::kit::{Bench, next, posted, queue, settings, ticket};

/// Through the door where one is asked for a name, as somebody whom `kafka` knows.
fn somebody(kafka: &OwnKafka, topic_prefix: &str) -> Settings {
    let doors = kafka.doors();
    let (username, password) = (doors.user, doors.password.into());
    let sasl = Some(Sasl { mechanism: SaslMechanism::ScramSha512, username, password });
    let security = Security { tls: true, sasl, ca: Some(doors.ca), ..Security::default() };
    let topic_prefix = topic_prefix.to_owned();
    Settings { topic_prefix, partitions: 3, security, provision: false, ..Settings::of(&doors.secure) }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_send_is_told_and_sends_once_they_may() {
    let kafka = OwnKafka::start();
    kafka.kill();
    kafka.set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
    // The broker itself, and whoever comes by the open door.
    kafka.set("super.users", "User:ANONYMOUS");
    kafka.start_again();
    let prefix = own_prefix();
    let settings = Settings { topic_prefix: prefix.clone(), partitions: 3, ..Settings::of(&kafka.address()) };
    let owner = Bench::ready(settings).await;
    let bench = Bench::of(somebody(&kafka, &prefix), Role::Worker);
    let mute = |said: &String| said.starts_with("Kafka's producer is broken: ");
    bench.until("it is said", |broker| broker.degraded_reasons().iter().any(mute)).await;
    assert!(!bench.broker.publish_ticket(&queue(), &ticket(), None, None));
    assert!(bench.broker.publish_result(&posted("1")).await.is_err());

    kafka.kill();
    kafka.set("super.users", "User:ANONYMOUS;User:tasker");
    kafka.start_again();
    bench.broker.declare_queues([&queue()]);
    bench.until("all is well", |broker| broker.degraded_reasons().is_empty()).await;
    let mut results = owner.results();
    let result = posted("2");
    bench.broker.publish_result(&result).await.unwrap();
    assert_eq!(next(&mut results).await.message, result);
    drop(results);
    owner.leave().await;
    bench.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_is_named_and_joined_once_there_is_a_place() {
    let kafka = OwnKafka::start();
    kafka.kill();
    kafka.set("group.max.size", "1");
    kafka.start_again();
    let prefix = own_prefix();
    let settings = Settings { topic_prefix: prefix.clone(), partitions: 3, ..Settings::of(&kafka.address()) };
    let first = Bench::ready(settings.clone()).await;
    let mut held = first.tickets(1);
    let before = ticket();
    assert!(first.broker.publish_ticket(&queue(), &before, None, None));
    let incoming = next(&mut held).await;
    assert_eq!(incoming.message, before, "it has joined");
    held.ack(incoming.mark);

    let second = Bench::ready(settings).await;
    let mut waits = second.tickets(1);
    let named = format!("the topic {prefix}.tasks.default cannot be read: ");
    let is_named = |said: &String| said.starts_with(&named);
    second.until("the topic is named", |broker| broker.degraded_reasons().iter().any(is_named)).await;
    assert!(!second.broker.is_serving([&queue()]));

    drop(held);
    first.leave().await;
    second.until("there is a place", |broker| broker.is_serving([&queue()])).await;
    let after = ticket();
    assert!(second.broker.publish_ticket(&queue(), &after, None, None));
    assert_eq!(next(&mut waits).await.message, after);
    drop(waits);
    second.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_brokers_do_not_allow_is_named() {
    let properties = [("session.timeout.ms".to_owned(), "500".into())].into();
    let bench = Bench::ready(Settings { properties, ..settings() }).await;
    let feed = bench.tickets(1);
    let refused = |said: &String| said.contains("cannot be read: ") && said.contains("session timeout");
    bench.until("it is named", |broker| broker.degraded_reasons().iter().any(refused)).await;
    drop(feed);
    bench.leave().await;
}
