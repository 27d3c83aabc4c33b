//! Logs, metrics and traces of a process.

pub(crate) mod log_file;
pub(crate) mod logging;
pub(crate) mod metrics_endpoint;
pub(crate) mod trace_export;
