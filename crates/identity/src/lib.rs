//! Identity: accounts, the pages where people register and sign in, and the OAuth 2 endpoints that issue access tokens.
//!
//! [`Identity`] is the service; [`Identity::router`] has all of its routes.

mod accounts;
mod api;
mod app;
mod authentication;
mod authorization;
mod clients;
mod error;
mod form_body;
mod grants;
mod health;
mod keys;
mod layers;
mod legacy_clients;
mod maintenance;
mod metrics;
mod oauth;
mod page_policy;
mod pages;
mod password_change;
mod role;
mod routes;
mod schema;
mod scope;
mod secret_token;
mod service;
mod settings;
mod sign_in;
mod time;
mod tokens;

pub use crate::accounts::username::InvalidName;
pub use crate::authentication::password_hashing::HashingQueueFull;
pub use crate::clients::client::{Client, GrantType};
pub use crate::clients::redirect_uri::InvalidRedirectUri;
pub use crate::error::{EnsureError, OpenError};
pub use crate::keys::key_ring::{KeyError, SigningKeyState, check_key_file};
pub use crate::metrics::METRICS;
pub use crate::role::Role;
pub use crate::routes::openapi;
pub use crate::schema::IDENTITY_SCHEMA;
pub use crate::scope::Scope;
pub use crate::service::{Identity, unlock};
pub use crate::settings::{InvalidSetting, OpenRegistration, Settings};
