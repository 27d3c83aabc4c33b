//! What the tests share.

pub(crate) mod scripted_server;
