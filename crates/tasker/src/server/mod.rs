//! Listeners: sockets, TLS, and warnings about plaintext connections.

pub(crate) mod listener;
pub(crate) mod plaintext_warnings;
pub(crate) mod tls;
