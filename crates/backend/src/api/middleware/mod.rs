//! Layers of this API; the ones that every HTTP service has are in the crate `web`.

pub(crate) mod cors;
