//! Identity over real HTTP, on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod authorization_code;
mod client_credentials;
mod deletion;
mod device;
mod discovery;
mod end_session;
mod http_requests;
mod keys;
mod kit;
mod lockout_by_source;
mod log_capture;
mod login_and_logout;
mod logs;
mod oauth_client;
mod openapi;
mod own_password;
mod pages;
mod password_normalization;
mod races;
mod rate_limit_and_lockout;
mod refresh_tokens;
mod register;
mod registration_tokens;
mod revocation;
mod signed_in_programs;
mod token;
mod token_inspection;
mod userinfo;
mod users;
