//! What an access token says, and its scopes.

pub(crate) mod access_token;
pub(crate) mod scope;
