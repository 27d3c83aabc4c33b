//! Kafka through the crate's own door, against a real one.

mod dead;
mod doors;
mod feed;
mod kit;
mod outage;
mod rights;
mod topics;
