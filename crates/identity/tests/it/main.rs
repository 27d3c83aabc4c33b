//! Identity over real HTTP, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod client_credentials;
mod deletion;
mod discovery;
mod http_requests;
mod keys;
mod kit;
mod lockout_by_source;
mod log_capture;
mod login_and_logout;
mod logs;
mod openapi;
mod own_password;
mod pages;
mod password_normalization;
mod races;
mod rate_limit_and_lockout;
mod register;
mod registration_tokens;
mod revocation;
mod token;
mod userinfo;
mod users;
