//! The endpoints that programs use: tokens, user information, discovery.

mod client;
mod discovery;
mod error;
mod scope;
mod token;
mod userinfo;

pub(crate) use client::is_legacy;
pub(crate) use discovery::{jwks, metadata};
pub(crate) use scope::Scopes;
pub(crate) use token::token;
pub(crate) use userinfo::{bearer, userinfo};
