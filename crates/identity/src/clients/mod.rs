//! OAuth clients: what each may do, the addresses that it may be sent to, and those that are built in.

pub(crate) mod built_in;
pub(crate) mod client;
pub(crate) mod redirect_uri;
pub(crate) mod registry;
