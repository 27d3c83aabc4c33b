//! Tokens: access tokens and ID tokens.

pub(crate) mod access_token;
pub(crate) mod id_token;
pub(crate) mod jwt;
