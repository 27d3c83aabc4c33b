//! The first arguments of processes that are started in a hidden role.

/// The first argument of a supervisor.
pub(crate) const SUPERVISOR: &str = "__supervisor";
/// The first argument of an init process.
pub(crate) const INIT: &str = "__supervisor-init";

/// The first argument of a process that tries to make a PID namespace and ends.
pub(crate) const NAMESPACE_TRIAL: &str = "__supervisor-namespace-trial";
