//! Claims tasks: by type with long polls over HTTP, and by the tickets that Kafka delivers.

pub(crate) mod claim_client;
pub(crate) mod long_poll;
pub(crate) mod ticket_backlog;
pub(crate) mod ticket_consumer;
pub(crate) mod ticket_consumers;
