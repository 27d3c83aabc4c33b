//! The limit of open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

/// Raises the soft limit of open files to the hard one. The soft limit is often 1,024, for programs that use `select`; the
/// administrator's limit is the hard one. A failure is logged at `debug` only: the process runs with the limit it has.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        debug!(%error, "the limit of open files stays as it is: {error}");
    }
}
