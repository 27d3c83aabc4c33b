//! What the tests share.

pub(crate) mod captured_log;
pub(crate) mod clients;
pub(crate) mod fake_issuer;
pub(crate) mod service;
pub(crate) mod tcp_proxy;
