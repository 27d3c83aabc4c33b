//! Topics are made where that is set, else asked for by name; nothing goes to one that is not there.

use broker::{Role, Settings};
use rdkafka::admin::{AdminOptions, ResourceSpecifier};

use crate::kit::{Bench, PATIENCE, admin, make, next, posted, queue, settings, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn missing_topics_are_made_as_the_settings_say() {
    let bench = Bench::ready(settings()).await;
    let prefix = &bench.settings.topic_prefix;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let hours = |hours: u64| (hours * 3_600_000).to_string();
    for (topic, retention) in
        [("tasks.default", hours(24)), ("results", hours(7 * 24)), ("dlq", hours(30 * 24))]
    {
        let topic = format!("{prefix}.{topic}");
        let resource = ResourceSpecifier::Topic(&topic);
        let found = admin(&bench).describe_configs([&resource], &options).await.unwrap();
        let found = found.into_iter().next().unwrap().unwrap();
        let kept = found.entry_map()["retention.ms"].value.clone();
        assert_eq!(kept, Some(retention), "{topic}");
    }
    // A queue that is new makes one more.
    bench.broker.declare_queues([&"images".parse().unwrap()]);
    bench.until("the new queue is served", |broker| broker.is_serving([&"images".parse().unwrap()])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_provision_a_missing_topic_is_named_and_served_once_somebody_has_made_it() {
    let bench = Bench::of(Settings { provision: false, ..settings() }, Role::Backend);
    bench.broker.declare_queues([&queue()]);
    let tickets = format!("{}.tasks.default", bench.settings.topic_prefix);
    let said = format!("the topic {tickets} is not there");
    bench.until(&said, |broker| broker.degraded_reasons().contains(&said)).await;
    // A worker that comes before its topic hears of work as soon as there is one.
    let mut feed = bench.tickets(1);
    assert!(!bench.broker.publish_ticket(&queue(), &ticket(), None, None));
    assert!(bench.broker.publish_result(&posted("1")).await.is_err(), "nor is there a topic for results");

    make(&bench, &tickets).await;
    bench.broker.serving_changed(&[queue()], false).await;
    assert!(bench.broker.is_serving([&queue()]));
    let ticket = ticket();
    assert!(bench.broker.publish_ticket(&queue(), &ticket, None, None));
    assert_eq!(next(&mut feed).await.message, ticket);
}
