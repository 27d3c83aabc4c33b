//! The HTML pages. They work without JavaScript; an error is shown beside the field that it is about.

pub(crate) mod access;
pub(crate) mod assets;
pub(crate) mod device;
pub(crate) mod end_session;
pub(crate) mod error;
pub(crate) mod form_targets;
pub(crate) mod home;
pub(crate) mod invite;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod notice;
pub(crate) mod password;
pub(crate) mod query;
pub(crate) mod register;
pub(crate) mod render;
pub(crate) mod return_url;
pub(crate) mod rights;
pub(crate) mod visitor;
