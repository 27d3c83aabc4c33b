//! The commands about accounts and sign-ins.

pub(crate) mod login;
pub(crate) mod passwd;
pub(crate) mod provider_sign_in;
pub(crate) mod users;
