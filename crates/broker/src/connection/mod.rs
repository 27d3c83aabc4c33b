//! What producer, consumers and topic manager share: settings, topics, availability.

pub(crate) mod availability;
pub(crate) mod circuit_breaker;
pub(crate) mod topic_registry;
