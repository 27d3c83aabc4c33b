//! What handlers take out of a request.

pub(crate) mod authenticated;
pub(crate) mod budgeted_body;
pub(crate) mod idempotency_key;
pub(crate) mod params;
pub(crate) mod prefer;
