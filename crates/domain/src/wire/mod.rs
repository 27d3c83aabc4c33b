//! The JSON types that clients, workers and the Backend exchange.

pub(crate) mod claim;
pub(crate) mod error_text;
pub(crate) mod heartbeat;
pub(crate) mod page_request;
pub(crate) mod problem;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod task;
pub(crate) mod task_event;
pub(crate) mod task_filter;
