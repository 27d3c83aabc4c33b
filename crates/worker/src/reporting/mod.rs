//! Sending results and failures to the Backend, over Kafka or HTTP.

pub(crate) mod http_reporter;
pub(crate) mod kafka_reporter;
pub(crate) mod reporter;
pub(crate) mod unconfirmed_results;
