//! The metrics of a process's connection to Kafka.

use metrics::{counter, gauge};
use rdkafka::statistics::Statistics;
use telemetry::MetricDescriptor;

const UP: &str = "tasker_kafka_up";
const LAG: &str = "tasker_kafka_lag_messages";
const PUBLISH_FAILURES: &str = "tasker_kafka_publish_failures_total";
const REDELIVERIES: &str = "tasker_kafka_redeliveries_total";
const DEAD_LETTERS: &str = "tasker_kafka_dead_letters_total";
const FOREIGN_MESSAGES: &str = "tasker_kafka_foreign_messages_total";

/// Every metric of this crate, for the documentation and the exporter.
pub const METRICS: &[MetricDescriptor] = &[
    MetricDescriptor::gauge(UP, "", "1 while the brokers answer"),
    MetricDescriptor::gauge(
        LAG,
        "topic",
        "consumer lag: messages in this process's partitions that are not acknowledged",
    ),
    MetricDescriptor::counter(PUBLISH_FAILURES, "topic", "messages that the brokers did not accept"),
    MetricDescriptor::counter(
        REDELIVERIES,
        "",
        "messages that this process received again: after a rebalance, or because a topic was replayed",
    ),
    MetricDescriptor::counter(
        DEAD_LETTERS,
        "",
        "messages that could not be decoded or settled: dead letters",
    ),
    MetricDescriptor::counter(
        FOREIGN_MESSAGES,
        "",
        "messages of another installation that uses the same topics; they are skipped",
    ),
];

/// Starts the counters at 0: the rate of a series that begins with its first event is not known, so no alert would fire for it.
pub(crate) fn start_counters() {
    counter!(REDELIVERIES).increment(0);
    counter!(DEAD_LETTERS).increment(0);
    counter!(FOREIGN_MESSAGES).increment(0);
}

/// Sets whether the brokers answer.
pub(crate) fn set_up(is_up: bool) {
    gauge!(UP).set(if is_up { 1.0 } else { 0.0 });
}

/// Counts a message that was not delivered to `topic`.
pub(crate) fn count_publish_failure(topic: &str) {
    counter!(PUBLISH_FAILURES, "topic" => topic.to_owned()).increment(1);
}

/// Counts a message that was received before.
pub(crate) fn count_redelivery() {
    counter!(REDELIVERIES).increment(1);
}

/// Counts a dead letter.
pub(crate) fn count_dead_letter() {
    counter!(DEAD_LETTERS).increment(1);
}

/// Counts a message of another installation.
pub(crate) fn count_foreign_message() {
    counter!(FOREIGN_MESSAGES).increment(1);
}

/// Sets the lag of each topic from a consumer's periodic statistics. librdkafka reports a lag of -1 for a partition whose
/// offset is not known yet; such a partition is left out.
pub(crate) fn set_lag(statistics: &Statistics) {
    for topic in statistics.topics.values() {
        let partitions = topic.partitions.values().filter(|partition| partition.consumer_lag > 0);
        let lag: i64 = partitions.map(|partition| partition.consumer_lag).sum();
        gauge!(LAG, "topic" => topic.topic.clone()).set(f64::from(i32::try_from(lag).unwrap_or(i32::MAX)));
    }
}
