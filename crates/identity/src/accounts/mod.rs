//! Accounts: their table, the rules for their names and passwords, and the links that register them.

pub(crate) mod account_deletion;
pub(crate) mod account_password;
pub(crate) mod account_store;
pub(crate) mod account_update;
pub(crate) mod acting_admin;
pub(crate) mod password_policy;
pub(crate) mod registration_link;
pub(crate) mod registration_tokens;
pub(crate) mod username;
