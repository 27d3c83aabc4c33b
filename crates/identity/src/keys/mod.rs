//! Signing keys: made, encrypted at rest, rotated, published.

pub(crate) mod key_encryption;
pub(crate) mod key_ring;
pub(crate) mod key_store;
pub(crate) mod signing_key;
