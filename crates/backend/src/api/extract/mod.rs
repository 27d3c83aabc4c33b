//! Extractors: what a handler reads from a request.

pub(crate) mod prefer;
