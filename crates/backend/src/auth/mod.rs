//! Who sends a request: access tokens and the signing keys that verify them.

pub(crate) mod caller;
pub(crate) mod issuer;
pub(crate) mod jwks;
pub(crate) mod revocations;
pub(crate) mod token_verifier;
