//! Reading requests: form bodies and the client's address.

pub(crate) mod client_address;
pub(crate) mod form;
