//! Listeners: sockets, TLS, and warnings about plaintext connections.

pub(crate) mod body_timeout;
pub(crate) mod connection_limit;
pub(crate) mod listener;
pub(crate) mod open_files;
pub(crate) mod plaintext_warnings;
pub(crate) mod port_owner;
pub(crate) mod tls;
