//! The commands about accounts and sign-ins.

pub(crate) mod login;
pub(crate) mod session_file;
pub(crate) mod users;
