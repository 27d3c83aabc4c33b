//! Fixtures of the tests: commands, processes and clusters, hostile programs, an HTTP client, metrics, a trace collector, Kafka's topics,
//! and checks of a history.

pub(crate) mod api_client;
pub(crate) mod book;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod history_audit;
pub(crate) mod hostile_worker;
pub(crate) mod kafka_topics;
pub(crate) mod metrics;
pub(crate) mod process;
pub(crate) mod service_urls;
pub(crate) mod tasker_up;
pub(crate) mod trace_collector;
pub(crate) mod wait_until;
