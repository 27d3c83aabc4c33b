//! Access tokens: their claims and their scopes.

pub(crate) mod access_token;
pub(crate) mod scope;
