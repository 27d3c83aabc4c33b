//! Missing topics are created if the settings say so, else reported; no message is sent to a missing topic.

use broker::{Role, Settings};
use rdkafka::admin::{AdminOptions, ResourceSpecifier};

use crate::kit::{
    TEST_TIMEOUT, TestProcess, admin, create_topic, next, queue, result_message, settings, ticket,
};

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_are_created_as_the_settings_say() {
    let process = TestProcess::ready(settings()).await;
    let prefix = &process.settings.topic_prefix;
    let options = AdminOptions::new().request_timeout(Some(TEST_TIMEOUT));
    let hours = |hours: u64| (hours * 3_600_000).to_string();
    for (topic, retention) in
        [("tasks.default", hours(24)), ("results", hours(7 * 24)), ("dlq", hours(30 * 24))]
    {
        let topic = format!("{prefix}.{topic}");
        let resource = ResourceSpecifier::Topic(&topic);
        let found = admin(&process).describe_configs([&resource], &options).await.unwrap();
        let found = found.into_iter().next().unwrap().unwrap();
        let actual = found.entry_map()["retention.ms"].value.clone();
        assert_eq!(actual, Some(retention), "{topic}");
    }
    // A newly declared queue creates another topic.
    process.broker.declare_queues([&"images".parse().unwrap()]);
    process.until("the new queue is served", |broker| broker.is_serving([&"images".parse().unwrap()])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_provision_a_missing_topic_is_reported_and_served_once_it_exists() {
    let process = TestProcess::new(Settings { provision: false, ..settings() }, Role::Backend);
    process.broker.declare_queues([&queue()]);
    let tickets = format!("{}.tasks.default", process.settings.topic_prefix);
    let reason = format!("the topic {tickets} does not exist");
    process.until(&reason, |broker| broker.degraded_reasons().contains(&reason)).await;
    // A subscription that is older than its topic receives tickets as soon as the topic exists.
    let mut subscription = process.tickets(1);
    assert!(!process.broker.publish_ticket(&queue(), &ticket(), None, None));
    assert!(
        process.broker.publish_result(&result_message("1")).await.is_err(),
        "the topic of the results is missing, too"
    );

    create_topic(&process, &tickets).await;
    process.broker.serving_changed(&[queue()], false).await;
    assert!(process.broker.is_serving([&queue()]));
    let ticket = ticket();
    assert!(process.broker.publish_ticket(&queue(), &ticket, None, None));
    assert_eq!(next(&mut subscription).await.message, ticket);
}
