//! The producer's callbacks: what became of each message, and the topics' circuit breakers that depend on it.

use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use telemetry::Span;
use tokio::sync::oneshot;

use crate::connection::availability::BrokerAvailability;
use crate::connection::topic_registry::TopicRegistry;
use crate::metrics;

/// The context of the producer: librdkafka reports the delivery of each message to it.
#[derive(Clone)]
pub(crate) struct DeliveryReports {
    availability: BrokerAvailability,
    topics: Arc<TopicRegistry>,
}

/// The delivery opaque of a message: who awaits its delivery report, and the span that this report ends.
#[derive(Default)]
pub(crate) struct InFlightMessage {
    /// Receives the outcome, if a caller awaits it.
    pub(crate) outcome: Option<oneshot::Sender<Result<(), KafkaError>>>,
    /// The span that publishes the message; it ends with the delivery report.
    pub(crate) span: Option<Span>,
}

impl DeliveryReports {
    /// Reports errors of the connection to `availability` and those of a topic to `topics`.
    pub(crate) fn new(availability: BrokerAvailability, topics: Arc<TopicRegistry>) -> Self {
        Self { availability, topics }
    }

    fn succeeded(&self, topic: &str) {
        if self.topics.record_success(topic) {
            tracing::info!(topic, "the topic {topic} accepts messages again");
        }
    }

    /// Records that a message was not delivered. A message that is too large does not count against its topic.
    pub(crate) fn failed(&self, topic: &str, error: &KafkaError) {
        metrics::count_publish_failure(topic);
        if !is_too_large(error) && self.topics.record_failure(topic) {
            tracing::warn!(
                topic,
                error = %error,
                "the topic {topic} does not accept messages: {error}; its circuit breaker is open: only single test messages are sent"
            );
        }
    }
}

/// Whether the brokers or librdkafka rejected a message for its size.
pub(crate) fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

impl ClientContext for DeliveryReports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.availability.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.availability.error(error, reason);
    }
}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = Box<InFlightMessage>;

    fn delivery(&self, delivery: &DeliveryResult<'_>, in_flight: Self::DeliveryOpaque) {
        let InFlightMessage { outcome, span } = *in_flight;
        let delivered = match delivery {
            Ok(message) => {
                self.succeeded(message.topic());
                Ok(())
            }
            Err((error, message)) => {
                self.failed(message.topic(), error);
                if let Some(mut span) = span {
                    span.set_error(error.to_string());
                }
                Err(error.clone())
            }
        };
        if let Some(outcome) = outcome {
            // Fails if the caller was cancelled, which is allowed.
            drop(outcome.send(delivered));
        }
    }
}
