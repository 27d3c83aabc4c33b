//! The endpoints for OAuth 2 clients: tokens, user information, discovery.

pub(crate) mod client_authentication;
pub(crate) mod device_authorization;
pub(crate) mod discovery;
pub(crate) mod error;
pub(crate) mod introspection;
pub(crate) mod pkce;
pub(crate) mod revocations;
pub(crate) mod token;
pub(crate) mod token_request;
pub(crate) mod token_revocation;
pub(crate) mod userinfo;
