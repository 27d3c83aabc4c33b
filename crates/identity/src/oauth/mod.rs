//! The endpoints that programs use: tokens, user information, discovery.

pub(crate) mod client_authentication;
pub(crate) mod discovery;
pub(crate) mod error;
pub(crate) mod token;
pub(crate) mod userinfo;

pub(crate) use crate::oauth::client_authentication::is_legacy;
pub(crate) use crate::tokens::scope::Scopes;
pub(crate) use discovery::{jwks, metadata};
pub(crate) use token::token;
pub(crate) use userinfo::{bearer, userinfo};
