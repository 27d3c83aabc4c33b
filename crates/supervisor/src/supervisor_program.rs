//! The program that is started as a supervisor.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::role_names;

/// The program that is started as a supervisor: its `main` calls [`run_role`](crate::run_role) first.
#[derive(Debug, Clone)]
pub struct SupervisorProgram {
    path: PathBuf,
}

impl SupervisorProgram {
    /// The program of this process, even if its file has been replaced since.
    pub fn own() -> Self {
        Self { path: "/proc/self/exe".into() }
    }

    /// The program at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the program is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process was started as a supervisor or by one, so that its `main` should have called
    /// [`run_role`](crate::run_role).
    pub fn is_role_ignored() -> bool {
        let roles =
            [role_names::SUPERVISOR, role_names::INIT, role_names::NAMESPACE_TRIAL].map(OsString::from);
        env::args_os().nth(1).is_some_and(|first| roles.contains(&first))
    }
}
