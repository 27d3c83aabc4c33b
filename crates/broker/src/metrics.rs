//! What a process counts of its way to Kafka.

use metrics::{counter, gauge};
use rdkafka::statistics::Statistics;
use telemetry::MetricDescriptor;

const UP: &str = "tasker_kafka_up";
const LAG: &str = "tasker_kafka_lag_messages";
const UNSENT: &str = "tasker_kafka_unsent_total";
const AGAIN: &str = "tasker_kafka_messages_again_total";
const DEAD: &str = "tasker_kafka_dead_letters_total";

/// Everything that is counted of Kafka.
pub const METRICS: &[MetricDescriptor] = &[
    MetricDescriptor::gauge(UP, "", "1 while the brokers answer"),
    MetricDescriptor::gauge(LAG, "topic", "messages of our partitions that are not done with"),
    MetricDescriptor::counter(UNSENT, "topic", "messages that the brokers did not take"),
    MetricDescriptor::counter(
        AGAIN,
        "",
        "messages that came again: after a rebalance, or because somebody replayed a topic",
    ),
    MetricDescriptor::counter(DEAD, "", "messages that nobody could read: dead letters"),
];

pub(crate) fn up(is_up: bool) {
    gauge!(UP).set(if is_up { 1.0 } else { 0.0 });
}

pub(crate) fn unsent(topic: &str) {
    counter!(UNSENT, "topic" => topic.to_owned()).increment(1);
}

pub(crate) fn again() {
    counter!(AGAIN).increment(1);
}

pub(crate) fn dead() {
    counter!(DEAD).increment(1);
}

/// What a consumer says of itself every few seconds. A partition whose place is not known yet has a lag of -1.
pub(crate) fn lag(statistics: &Statistics) {
    for topic in statistics.topics.values() {
        let partitions = topic.partitions.values().filter(|partition| partition.consumer_lag > 0);
        let lag: i64 = partitions.map(|partition| partition.consumer_lag).sum();
        gauge!(LAG, "topic" => topic.topic.clone()).set(f64::from(i32::try_from(lag).unwrap_or(i32::MAX)));
    }
}
