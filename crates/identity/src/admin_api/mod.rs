//! The JSON API with which an administrator manages accounts.

pub(crate) mod admin;
pub(crate) mod problem;
pub(crate) mod users;
