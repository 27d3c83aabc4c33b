//! Publishes messages: tickets without waiting, results and dead letters until the brokers have them.

use std::sync::Arc;

use domain::{QueueName, TaskId, TraceContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use telemetry::{Span, SpanKind};
use tokio::sync::oneshot;

use crate::connection::Connection;
use crate::connection::delivery_reports::{self, InFlightMessage};
use crate::message_formats::{ResultMessage, Ticket};

/// A result whose message is longer, in bytes, is reported over HTTP.
const MAX_RESULT_BYTES: usize = 256 << 10;

/// Publishes through the connection's producer. Clones share it.
#[derive(Clone)]
pub(crate) struct Publisher {
    connection: Arc<Connection>,
}

/// Why the brokers do not have a message. A result is then reported over HTTP.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The brokers are unavailable, the topic does not exist, or its circuit breaker is open.
    #[error("Kafka accepts no messages for this topic at the moment")]
    Unavailable,
    /// The report is too long for a message, or is a release, for which there is no message.
    #[error("the report is too long for a message, or is a release")]
    NotSendable,
    /// The brokers or librdkafka rejected the message, or did not confirm it in time.
    #[error("the brokers did not accept the message")]
    Rejected(#[from] KafkaError),
}

impl PublishError {
    /// Whether the message itself is the reason, so that another attempt fails in the same way.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Unavailable => false,
            Self::NotSendable => true,
            Self::Rejected(error) => delivery_reports::is_too_large(error),
        }
    }
}

impl Publisher {
    /// Publishes over `connection`.
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// Enqueues a ticket without waiting. `true`: the ticket is on its way to the brokers.
    pub(crate) fn publish_ticket(
        &self,
        queue: &QueueName,
        ticket: &Ticket,
        trace: Option<TraceContext>,
        republish_round: Option<u64>,
    ) -> bool {
        let topic = self.connection.topic_names.tickets(queue);
        let Some(partitions) = self.writable_partitions(&topic) else { return false };
        let (key, payload) = (ticket.id.to_string(), ticket.encode());
        let span = publish_span(&topic, trace);
        let headers = with_trace(json_content_type(), span.as_ref());
        let record = BaseRecord::with_opaque_to(&topic, Box::new(InFlightMessage { outcome: None, span }))
            .key(key.as_str())
            .payload(payload.as_slice())
            .partition(partition(ticket.id, republish_round, partitions))
            .headers(headers);
        self.enqueue(record).is_ok()
    }

    /// Publishes a result, and returns when the brokers have it.
    pub(crate) async fn publish_result(&self, result: &ResultMessage) -> Result<(), PublishError> {
        let payload = result
            .encode()
            .filter(|payload| payload.len() <= MAX_RESULT_BYTES)
            .ok_or(PublishError::NotSendable)?;
        let (key, topic) = (result.report.id.to_string(), self.connection.topic_names.results());
        self.publish(&topic, &key, &payload, json_content_type(), result.report.trace).await
    }

    /// Publishes a message. Returns when the brokers have confirmed it, or with the reason why they have not. If the future
    /// is dropped, the message is sent all the same.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        key: &str,
        payload: &[u8],
        headers: OwnedHeaders,
        trace: Option<TraceContext>,
    ) -> Result<(), PublishError> {
        if self.writable_partitions(topic).is_none() {
            return Err(PublishError::Unavailable);
        }
        let (outcome, delivered) = oneshot::channel();
        let span = publish_span(topic, trace);
        let headers = with_trace(headers, span.as_ref());
        let in_flight = Box::new(InFlightMessage { outcome: Some(outcome), span });
        let record = BaseRecord::with_opaque_to(topic, in_flight).key(key).payload(payload).headers(headers);
        self.enqueue(record)?;
        // The sender is dropped without an outcome if the producer is closed.
        Ok(delivered.await.map_err(|_| PublishError::Unavailable)??)
    }

    /// The number of partitions of a topic, if a message may be sent to it now.
    fn writable_partitions(&self, topic: &str) -> Option<i32> {
        if self.connection.is_up() { self.connection.topics.check_writable(topic).ok() } else { None }
    }

    /// Hands a message to librdkafka. A full queue counts as a failure of the topic: its brokers are too slow.
    fn enqueue(&self, record: BaseRecord<'_, str, [u8], Box<InFlightMessage>>) -> Result<(), KafkaError> {
        self.connection.producer().send(record).map_err(|(error, mut record)| {
            if let Some(span) = &mut record.delivery_opaque.span {
                span.set_error(error.to_string());
            }
            self.connection.delivery_reports.failed(record.topic, &error);
            error
        })
    }
}

fn json_content_type() -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: "content-type", value: Some("application/json") })
}

/// Adds the `traceparent` of the span that publishes the message.
fn with_trace(headers: OwnedHeaders, span: Option<&Span>) -> OwnedHeaders {
    match span.and_then(Span::trace_context) {
        Some(trace) => headers.insert(Header { key: TraceContext::HEADER, value: Some(&trace.to_string()) }),
        None => headers,
    }
}

/// The span that publishes a message, as a child of `trace`; it lasts until the delivery is reported.
fn publish_span(topic: &str, trace: Option<TraceContext>) -> Option<Span> {
    let mut span = Span::begin(format!("publish {topic}"), SpanKind::Producer, Some(trace?));
    span.set_attribute("messaging.system", "kafka");
    span.set_text_attribute("messaging.destination.name", topic);
    Some(span)
}

/// The partition of a ticket. The first one depends on the task's id; every resend goes to another partition than the first
/// one and than the round before, if there are enough.
fn partition(id: TaskId, republish_round: Option<u64>, partitions: i32) -> i32 {
    let count = u64::from(partitions.cast_unsigned());
    let others = count.saturating_sub(1).max(1);
    let first = id.0.as_u64_pair().1 % count.max(1);
    let index = (first + republish_round.map_or(0, |round| 1 + round % others)) % count.max(1);
    i32::try_from(index).expect("an index is less than the number of partitions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resent_ticket_changes_its_partition_in_every_round() {
        let id: TaskId = "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1".parse().unwrap();
        let first = partition(id, None, 12);
        for round in 0..40 {
            let resent = partition(id, Some(round), 12);
            assert!((0..12).contains(&resent) && resent != first);
            assert_ne!(resent, partition(id, Some(round + 1), 12));
            assert_eq!(partition(id, Some(round), 1), 0);
            assert_ne!(partition(id, Some(round), 2), partition(id, None, 2));
        }
    }
}
