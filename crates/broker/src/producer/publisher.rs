//! What goes out: tickets, without waiting; results, until the brokers have them. One producer for a process.

use std::sync::Arc;

use domain::{QueueName, TaskId, TraceContext};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext};
use telemetry::{Span, SpanKind};
use tokio::sync::oneshot;

use crate::broker::Broker;
use crate::connection::availability::BrokerAvailability;
use crate::connection::topic_registry::Topics;
use crate::message::{ResultMessage, Ticket};
use crate::metrics;

/// A result that is longer goes over HTTP, in bytes.
const LONGEST_RESULT: usize = 256 << 10;

/// Hears what became of each message.
#[derive(Clone)]
pub(crate) struct DeliveryReports {
    pub(crate) line: BrokerAvailability,
    pub(crate) topics: Arc<Topics>,
}

/// A message that is on its way: who waits to hear what became of it, and the step of its trace that sends it.
#[derive(Default)]
pub(crate) struct InFlightMessage {
    waiting: Option<oneshot::Sender<Result<(), KafkaError>>>,
    step: Option<Span>,
}

/// Why the brokers do not have a result; it goes over HTTP then.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No broker can be reached, or the topic takes nothing at the moment.
    #[error("Kafka takes no results at the moment")]
    Unavailable,
    /// It is too long for a message, or is none.
    #[error("it is not sent as a message")]
    NotSendable,
    /// The brokers did not take it.
    #[error("the brokers did not take it")]
    Refused(#[from] KafkaError),
}

impl PublishError {
    /// Another try ends in the same way.
    pub(crate) fn is_about_the_message(&self) -> bool {
        match self {
            Self::Unavailable => false,
            Self::NotSendable => true,
            Self::Refused(error) => is_too_long(error),
        }
    }
}

fn is_too_long(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

impl ClientContext for DeliveryReports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.line.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.line.error(error, reason);
    }
}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = Box<InFlightMessage>;

    fn delivery(&self, delivery: &DeliveryResult<'_>, on_the_way: Self::DeliveryOpaque) {
        let InFlightMessage { waiting, step } = *on_the_way;
        let done = match delivery {
            Ok(message) => {
                self.succeeded(message.topic());
                Ok(())
            }
            Err((error, message)) => {
                self.failed(message.topic(), error);
                if let Some(mut step) = step {
                    step.failed(error.to_string());
                }
                Err(error.clone())
            }
        };
        if let Some(waiting) = waiting {
            // Whoever gave up waiting does not need to know.
            drop(waiting.send(done));
        }
    }
}

impl DeliveryReports {
    fn succeeded(&self, topic: &str) {
        if self.topics.succeeded(topic) {
            tracing::info!(topic, "the topic {topic} takes messages again");
        }
    }

    /// A message that is too long says nothing of its topic.
    fn failed(&self, topic: &str, error: &KafkaError) {
        metrics::unsent(topic);
        if !is_too_long(error) && self.topics.failed(topic) {
            tracing::warn!(topic, error = %error, "the topic {topic} takes no messages: {error}; it is tried now and then");
        }
    }
}

impl Broker {
    /// Offers a task to the workers of its queue; says whether the message is on its way. Never waits. `again` numbers the
    /// rounds of offers after the first: each goes to another partition than the first, and than the round before it.
    pub fn publish_ticket(
        &self,
        queue: &QueueName,
        ticket: &Ticket,
        trace: Option<TraceContext>,
        again: Option<u64>,
    ) -> bool {
        let topic = self.names().tickets(queue);
        let Some(partitions) = self.writable_partitions(&topic) else { return false };
        let (key, payload) = (ticket.id.to_string(), ticket.encode());
        let step = step(&topic, trace);
        let headers = traced(json(), step.as_ref());
        let record = BaseRecord::with_opaque_to(&topic, Box::new(InFlightMessage { waiting: None, step }))
            .key(key.as_str())
            .payload(payload.as_slice())
            .partition(partition(ticket.id, again, partitions))
            .headers(headers);
        self.send(record).is_ok()
    }

    /// Posts a result; returns when the brokers have it, or why they do not. Cancelled, it is sent all the same.
    pub async fn publish_result(&self, posted: &ResultMessage) -> Result<(), PublishError> {
        let payload = posted
            .encode()
            .filter(|payload| payload.len() <= LONGEST_RESULT)
            .ok_or(PublishError::NotSendable)?;
        let (key, topic) = (posted.report.id.to_string(), self.names().results());
        self.deliver(&topic, &key, &payload, json(), posted.report.trace).await
    }

    /// Sends a message; returns when the brokers have it, or why they do not.
    pub(crate) async fn deliver(
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
        let (told, hears) = oneshot::channel();
        let step = step(topic, trace);
        let headers = traced(headers, step.as_ref());
        let record =
            BaseRecord::with_opaque_to(topic, Box::new(InFlightMessage { waiting: Some(told), step }))
                .key(key)
                .payload(payload)
                .headers(headers);
        self.send(record)?;
        // Gone without a word: the producer has ended.
        Ok(hears.await.map_err(|_| PublishError::Unavailable)??)
    }

    /// The partitions of a topic, if a message may go there now.
    fn writable_partitions(&self, topic: &str) -> Option<i32> {
        if self.is_up() { self.topics().open(topic).ok() } else { None }
    }

    /// Gives a message to librdkafka. A queue that is full is a failure of the topic: its brokers are too slow.
    fn send(&self, record: BaseRecord<'_, str, [u8], Box<InFlightMessage>>) -> Result<(), KafkaError> {
        self.producer().send(record).map_err(|(error, mut record)| {
            if let Some(step) = &mut record.delivery_opaque.step {
                step.failed(error.to_string());
            }
            self.deliveries().failed(record.topic, &error);
            error
        })
    }
}

fn json() -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: "content-type", value: Some("application/json") })
}

/// With the step that sends it.
fn traced(headers: OwnedHeaders, step: Option<&Span>) -> OwnedHeaders {
    match step.and_then(Span::trace) {
        Some(trace) => headers.insert(Header { key: TraceContext::HEADER, value: Some(&trace.to_string()) }),
        None => headers,
    }
}

/// The step of a trace that sends a message there; it lasts until the brokers have it.
fn step(topic: &str, trace: Option<TraceContext>) -> Option<Span> {
    let mut step = Span::begin(format!("publish {topic}"), SpanKind::Producer, Some(trace?));
    step.note("messaging.system", "kafka");
    step.note_text("messaging.destination.name", topic);
    Some(step)
}

/// The first offer goes where the id says; a later one elsewhere, if there is another place.
fn partition(id: TaskId, again: Option<u64>, partitions: i32) -> i32 {
    let count = u64::from(partitions.cast_unsigned());
    let others = count.saturating_sub(1).max(1);
    let home = id.0.as_u64_pair().1 % count.max(1);
    let place = (home + again.map_or(0, |round| 1 + round % others)) % count.max(1);
    i32::try_from(place).expect("less than the partitions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_after_the_first_goes_elsewhere_and_the_next_one_too() {
        let id: TaskId = "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1".parse().unwrap();
        let first = partition(id, None, 12);
        for round in 0..40 {
            let place = partition(id, Some(round), 12);
            assert!((0..12).contains(&place) && place != first);
            assert_ne!(place, partition(id, Some(round + 1), 12));
            assert_eq!(partition(id, Some(round), 1), 0);
            assert_ne!(partition(id, Some(round), 2), partition(id, None, 2));
        }
    }
}
