//! The JSON API by which administrators manage accounts.

pub(crate) mod authenticated_admin;
pub(crate) mod invitations;
pub(crate) mod json_body;
pub(crate) mod problem;
pub(crate) mod users;
