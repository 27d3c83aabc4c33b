//! How the worker gets tasks: long polls over HTTP and tickets over Kafka.

pub(crate) mod claim_client;
pub(crate) mod long_poll;
pub(crate) mod ticket_backlog;
pub(crate) mod ticket_consumer;
