//! The authorization endpoint: people sign in and allow a client to act for them, and the client gets a code.

pub(crate) mod answer;
pub(crate) mod consent;
pub(crate) mod endpoint;
pub(crate) mod request;
pub(crate) mod sending;
