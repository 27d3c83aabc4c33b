//! Readers of requests: form bodies, bearer tokens, the client's address.

pub(crate) mod bearer;
pub(crate) mod client_address;
pub(crate) mod form;
