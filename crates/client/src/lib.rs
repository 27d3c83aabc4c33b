//! The API as a program sees it: one client, its tokens, and a verb for each thing that can be asked.

mod accounts;
mod backoff;
mod client;
mod clock;
mod error;
mod http;
mod identity;
mod service;
mod tasks;
mod tokens;

pub use accounts::{Accounts, Change, Given, Invitation, User, UserList};
pub use backoff::Backoff;
pub use client::{Client, Settings};
pub use clock::clock_of;
pub use domain::Secret;
pub use error::ClientError;
pub use identity::{Identity, SignedIn, Who};
pub use tokens::Credentials;
