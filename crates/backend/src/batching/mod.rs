//! Group commit: concurrent requests share a statement.

pub(crate) mod batcher;
