//! Layers around every route.

pub(crate) mod normalize_path;
pub(crate) mod timeout;
pub(crate) mod trace_context;
