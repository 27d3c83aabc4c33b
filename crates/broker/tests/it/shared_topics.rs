//! Two installations with the same topics: neither takes the other's messages, and both say that the topics are shared.

use broker::{Message, MessageReceiver};
use domain::InstallationId;
use uuid::Uuid;

use crate::kit::{INSTALLATION, TestProcess, next, queue, result_message, settings, ticket};

/// The second installation.
const OTHER: InstallationId = InstallationId(Uuid::from_u128(2));

/// Publishes a ticket and a result of the installation; returns them.
async fn publish(
    process: &TestProcess,
    installation: InstallationId,
) -> (broker::Ticket, broker::ResultMessage) {
    let ticket = broker::Ticket { installation, ..ticket() };
    assert!(process.broker.publish_ticket(&queue(), &ticket, None, None));
    let result = broker::ResultMessage { installation, ..result_message("1") };
    process.broker.publish_result(&result).await.expect("the brokers take it");
    (ticket, result)
}

/// Receives one message, acknowledges it, and asserts that no other one is there.
async fn receive_only<M: Message + PartialEq + std::fmt::Debug>(
    subscription: &mut MessageReceiver<M>,
    expected: &M,
) {
    let delivery = next(subscription).await;
    assert_eq!(&delivery.message, expected);
    subscription.ack(delivery.position);
    assert!(subscription.drain_ready(usize::MAX).is_empty(), "nothing else was received");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_skip_each_others_messages_and_name_the_shared_topics() {
    let process = TestProcess::ready(settings()).await;
    let subscribe = |installation| (process.tickets_of(installation, 8), process.results_of(installation));
    let (mut mine, mut others) = (subscribe(INSTALLATION), subscribe(OTHER));
    let (my_ticket, my_result) = publish(&process, INSTALLATION).await;
    let (other_ticket, other_result) = publish(&process, OTHER).await;
    receive_only(&mut mine.0, &my_ticket).await;
    receive_only(&mut mine.1, &my_result).await;
    receive_only(&mut others.0, &other_ticket).await;
    receive_only(&mut others.1, &other_result).await;
    let prefix = &process.settings.topic_prefix;
    for topic in [format!("{prefix}.results"), format!("{prefix}.tasks.default")] {
        let beginning = format!("the topic {topic} also has messages of another installation (");
        let is_named = |reason: &String| {
            reason.starts_with(&beginning)
                && reason.ends_with("give each installation its own kafka.topic_prefix")
        };
        process.until("the topic is named", |broker| broker.degraded_reasons().iter().any(is_named)).await;
    }
    assert_eq!(process.broker.dead_letters(), 0);
    drop((mine, others));
    process.stop().await;
}
