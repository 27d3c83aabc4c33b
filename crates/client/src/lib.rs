//! The HTTP client of Backend and Identity: one method for each call, with access tokens fetched and renewed as needed.

mod api;
mod backend_issuer;
mod backends;
mod backoff;
mod client;
mod error;
mod health_check;
mod localhost_resolver;
mod server_time;
mod token_source;
mod transport;

pub use crate::api::accounts_client::{
    AccountChange, AccountsClient, Invitation, NewPassword, User, UserList,
};
pub use crate::api::events::{EventStream, StreamItem};
pub use crate::api::identity_client::{AccessToken, IdentityClient, UserInfo};
pub use crate::api::schedules::NewSchedule;
pub use crate::api::sign_in::{BrowserAnswer, BrowserRefusal, BrowserSignIn, DeviceCodes, Provider};
pub use crate::api::tasks::{ListPage, NewTask};
pub use crate::backend_issuer::issuer_of_backend;
pub use crate::backoff::Backoff;
pub use crate::client::{Client, Settings};
pub use crate::error::ClientError;
pub use crate::health_check::check_health;
pub use crate::server_time::server_time;
pub use crate::token_source::Credentials;
