//! The JSON types that clients, workers and the Backend exchange.

pub(crate) mod admin_task;
pub(crate) mod bulk_cancellation;
pub(crate) mod claim;
pub(crate) mod counts;
pub(crate) mod heartbeat;
pub(crate) mod lossy_string;
pub(crate) mod page_request;
pub(crate) mod problem;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod schedule;
pub(crate) mod task;
pub(crate) mod task_event;
pub(crate) mod task_filter;
