//! The API as a program sees it: one client, its tokens, and a verb for each thing that can be asked.

mod api;
mod backoff;
mod client;
mod error;
mod server_clock;
mod token_source;
mod transport;

pub use crate::api::accounts::{Accounts, Change, Invitation, NewPassword, User, UserList};
pub use crate::api::identity::{Identity, SignedIn, UserInfo};
pub use crate::server_clock::server_clock;
pub use crate::token_source::Credentials;
pub use backoff::Backoff;
pub use client::{Client, Settings};
pub use error::ClientError;
