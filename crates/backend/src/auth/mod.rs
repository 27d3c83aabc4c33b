//! Who sends a request: access tokens and the signing keys that verify them.

pub(crate) mod caller;
pub(crate) mod jwks;
pub(crate) mod token_verifier;
