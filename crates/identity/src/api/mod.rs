//! The JSON API of accounts: administrators manage them, everyone reads the own one and changes its password.

pub(crate) mod caller;
pub(crate) mod invitations;
pub(crate) mod openapi;
pub(crate) mod own_password;
pub(crate) mod problem;
pub(crate) mod users;
