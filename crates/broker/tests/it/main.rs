//! Tests of the public API against a real Kafka.

mod consuming;
mod dead_letters;
mod kafka_outage;
mod kit;
mod refused_clients;
mod shared_topics;
mod tls_and_sasl;
mod topics;
