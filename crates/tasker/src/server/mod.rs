//! Listeners: sockets, TLS, warnings about plaintext.

pub(crate) mod listener;
pub(crate) mod plaintext_warnings;
pub(crate) mod tls;
