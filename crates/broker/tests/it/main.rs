//! Kafka through the crate's own door, against a real one.

mod acls;
mod consuming;
mod dead_letters;
mod kafka_outage;
mod kit;
mod tls_and_sasl;
mod topics;
