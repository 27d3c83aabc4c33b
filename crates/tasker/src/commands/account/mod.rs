//! The commands about accounts and sessions.

pub(crate) mod login;
pub(crate) mod session_file;
pub(crate) mod users;
