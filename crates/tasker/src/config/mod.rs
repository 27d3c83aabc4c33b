//! The configuration: settings read from `tasker.toml`, the environment and flags, in one place and checked.

pub(crate) mod command_line;
pub(crate) mod databases;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod file_paths;
pub(crate) mod identity_clients;
pub(crate) mod kafka;
pub(crate) mod layers;
pub(crate) mod oauth_client;
pub(crate) mod paired_settings;
pub(crate) mod reference;
pub(crate) mod sections;
pub(crate) mod tls;
pub(crate) mod unknown_variables;
pub(crate) mod validation;
pub(crate) mod values;
