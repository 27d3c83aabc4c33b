//! The hidden roles in which a program is started as its own supervisor or init process.

use std::process::ExitCode;

use crate::{init_process, namespace, supervision};

/// The first argument of a supervisor.
pub(crate) const SUPERVISOR: &str = "__supervisor";
/// The first argument of an init process.
pub(crate) const INIT: &str = "__supervisor-init";

/// The first argument of a process that tries to make a PID namespace and ends.
pub(crate) const NAMESPACE_TRIAL: &str = "__supervisor-namespace-trial";

/// Runs the role that the first argument of this process asks for; `None` if it asks for none. Call it first in `main`, before any thread is
/// started, and return what it returns.
pub fn run_role() -> Option<ExitCode> {
    let first = std::env::args_os().nth(1)?;
    let ended = match first.to_str()? {
        SUPERVISOR => supervision::run(),
        INIT => init_process::run(),
        NAMESPACE_TRIAL => namespace::try_with_child(),
        _ => return None,
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}
