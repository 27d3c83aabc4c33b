//! What handlers take out of a request.

pub(crate) mod authenticated;
pub(crate) mod params;
pub(crate) mod prefer;
