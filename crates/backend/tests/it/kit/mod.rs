//! The test bed: a running Backend and what it talks to.

pub(crate) mod event_reader;
pub(crate) mod fake_issuer;
pub(crate) mod openapi_checked_client;
pub(crate) mod step_observers;
pub(crate) mod tcp_proxy;
pub(crate) mod test_backend;
pub(crate) mod until;
