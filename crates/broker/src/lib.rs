//! Kafka as a doorbell: tickets go out when tasks are ready, results come in. The database decides; a message that is
//! lost, late or there twice costs time only.
//!
//! `docs/asyncapi.yaml` describes the topics and the messages, well enough to write a worker in another language.

mod broker;
mod connection;
mod consumer;
mod dead_letter_queue;
mod librdkafka_properties;
mod message;
mod metrics;
mod producer;
mod settings;
mod topic_manager;

pub use crate::connection::topic_registry::TopicLayout;
pub use crate::consumer::consume_loop::ConsumeLoop;
pub use crate::consumer::subscription::{Delivery, MessagePosition, Subscription};
pub use crate::metrics::METRICS;
pub use crate::producer::publisher::PublishError;
pub use broker::{Broker, BrokerError, Role};
pub use message::{InvalidMessage, Message, ResultMessage, Ticket};
pub use settings::{GroupProtocol, InvalidSetting, Retention, Sasl, SaslMechanism, Security, Settings};
