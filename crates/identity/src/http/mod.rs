//! HTTP beside the routes: the layers around them, form bodies, spans of requests.

pub(crate) mod form;
pub(crate) mod layers;
pub(crate) mod trace_context;
