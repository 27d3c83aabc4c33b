//! Kafka as a notification channel: Backends publish tickets for tasks that are ready, workers publish results. The database
//! decides about tasks, so a message that is lost, late or duplicated costs time only.
//!
//! `docs/asyncapi.yaml` describes the topics and the messages, well enough to write a worker in another language.

mod allowed_properties;
mod broker;
mod connection;
mod consumer;
mod dead_letter_queue;
mod error;
mod message_formats;
mod metrics;
mod producer;
mod settings;
mod topic_manager;

pub use crate::broker::Broker;
pub use crate::connection::topic_registry::TopicLayout;
pub use crate::consumer::consume_loop::ConsumeLoop;
pub use crate::consumer::message_receiver::{Delivery, MessagePosition, MessageReceiver};
pub use crate::error::BrokerError;
pub use crate::message_formats::{InvalidMessage, Message, ResultMessage, Ticket};
pub use crate::metrics::METRICS;
pub use crate::producer::publisher::PublishError;
pub use crate::settings::{
    GroupProtocol, InvalidSetting, Retention, Sasl, SaslMechanism, Security, Settings,
};
pub use crate::topic_manager::Role;
