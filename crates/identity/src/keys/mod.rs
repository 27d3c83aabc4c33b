//! Signing keys: generated, encrypted in the database, rotated, published.

pub(crate) mod key_encryption;
pub(crate) mod key_ring;
pub(crate) mod key_store;
pub(crate) mod signing_key;
