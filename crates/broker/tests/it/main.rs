//! Tests of the public API against a real Kafka.

mod acls;
mod consuming;
mod dead_letters;
mod kafka_outage;
mod kit;
mod tls_and_sasl;
mod topics;
