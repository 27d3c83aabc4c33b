//! Operations that the worker's settings declare: any program or HTTP service becomes an operation without a line of Rust.

pub(crate) mod declaration;
pub(crate) mod declaration_error;
pub(crate) mod declaration_list;
pub(crate) mod declaration_source;
pub(crate) mod declared_operation;
pub(crate) mod directory;
pub(crate) mod exec_settings;
pub(crate) mod schemas;
pub(crate) mod submission_settings;
pub(crate) mod summary;
