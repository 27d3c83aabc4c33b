//! Who sends a request: token verification and the issuer's keys.

pub(crate) mod jwks;
pub(crate) mod token_verifier;
