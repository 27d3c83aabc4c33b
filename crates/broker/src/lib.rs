//! Kafka as a doorbell: tickets go out when tasks are ready, results come in. The database decides; a message that is
//! lost, late or there twice costs time only.
//!
//! `docs/asyncapi.yaml` describes the topics and the messages, well enough to write a worker in another language.

mod breaker;
mod broker;
mod dead;
mod feed;
mod figures;
mod keeper;
mod line;
mod mending;
mod message;
mod offsets;
mod producer;
mod properties;
mod pump;
mod settings;
mod topics;

pub use broker::{Broker, BrokerError, Role};
pub use feed::{Feed, Incoming, Mark};
pub use figures::FIGURES;
pub use message::{BadMessage, Message, Posted, Ticket};
pub use producer::NotPosted;
pub use pump::Pump;
pub use settings::{BadSetting, GroupProtocol, Retention, Sasl, SaslMechanism, Security, Settings};
pub use topics::Shape;
