//! Reports results, failures and releases to the Backend, over Kafka or HTTP.

pub(crate) mod http_reporter;
pub(crate) mod kafka_reporter;
pub(crate) mod progress_reporter;
pub(crate) mod report_queue;
pub(crate) mod reporter;
pub(crate) mod unconfirmed_results;
