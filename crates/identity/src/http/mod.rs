//! Reading requests: form bodies, and the spans of requests.

pub(crate) mod form;
pub(crate) mod trace_context;
