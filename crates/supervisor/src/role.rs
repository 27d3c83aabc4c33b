//! The hidden roles in which a program is started as its own supervisor or init process.

use std::process::ExitCode;

use crate::role_names::{INIT, NAMESPACE_TRIAL, SUPERVISOR};
use crate::{init_process, namespace, supervision};

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
