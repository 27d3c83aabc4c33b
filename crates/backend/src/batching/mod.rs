//! Group commit: items that concurrent requests bring share one database statement.

pub(crate) mod batch_consumer;
pub(crate) mod batch_statement;
pub(crate) mod batcher;
mod splitting;
