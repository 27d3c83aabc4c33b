//! Layers around the routes.

pub(crate) mod cors;
pub(crate) mod normalize_path;
pub(crate) mod request_metrics;
pub(crate) mod timeout;
pub(crate) mod trace_context;
