//! What people have allowed clients, and the tokens that follow from it.

pub(crate) mod consents;
pub(crate) mod device_store;
pub(crate) mod grant_store;
pub(crate) mod refresh_token;
