//! Errors of the client commands that have exit codes of their own.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use domain::TaskId;

/// What the command names does not exist: exit code 8.
#[derive(Debug)]
pub struct NotFound(pub String);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotFound {}

/// No `tasker up` runs on the data directory: exit code 9.
#[derive(Debug)]
pub struct NoServer(pub PathBuf);

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no Tasker runs on {}: start one with `tasker up`, name its --data-dir, or sign in to another with \
             `tasker login NAME --backend-url URL --identity-url URL`",
            self.0.display()
        )
    }
}

impl Error for NoServer {}

/// There is no valid sign-in for the server: exit code 4.
#[derive(Debug)]
pub enum NotSignedIn {
    /// Nobody is signed in at this Backend.
    Nobody(String),
    /// The token of this account has expired.
    Expired(String),
    /// The token ended while the command waited for this task.
    EndedDuringWait(TaskId),
}

impl fmt::Display for NotSignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(backend) => {
                write!(f, "not signed in at {backend}: use `tasker login`, or set TASKER_TOKEN to a token")
            }
            Self::Expired(username) => {
                write!(f, "the sign-in of {username} has expired: use `tasker login` again")
            }
            Self::EndedDuringWait(id) => write!(
                f,
                "the sign-in ended during the wait, and the task continues: sign in again (`tasker login`, or another \
                 TASKER_TOKEN), then wait again: tasker watch {id}"
            ),
        }
    }
}

impl Error for NotSignedIn {}
