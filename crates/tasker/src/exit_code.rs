//! What the exit code says: the one table of codes.

use std::process::ExitCode;

use client::ClientError;
use domain::{Reason, Status};

use crate::commands::{NoServer, NotFound, NotSignedIn};
use crate::config::ConfigError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// The request was refused, or something broke; the error says what.
    Error = 1,
    /// The command line or a setting makes no sense.
    Usage = 2,
    /// The task has not ended yet.
    NotEnded = 3,
    /// Nobody is signed in, or no longer.
    NotSignedIn = 4,
    /// The task has ended without a result: its operation failed, or its worker was lost.
    Failed = 5,
    /// The task has ended without a result: time was up.
    Expired = 6,
    /// The task has ended without a result: somebody cancelled it.
    Cancelled = 7,
    /// There is no such task, operation or account.
    NotFound = 8,
    /// No answer from the server.
    Unreachable = 9,
    /// Ctrl-C ended the wait; the task goes on.
    Detached = 130,
}

impl Exit {
    /// Every code with its meaning.
    const ALL: [(Self, &str); 11] = [
        (Self::Done, "done"),
        (Self::Error, "refused, or something broke: the error says what"),
        (Self::Usage, "the command line or a setting makes no sense"),
        (Self::NotEnded, "the task has not ended: the wait ran out"),
        (Self::NotSignedIn, "sign in first: tasker login"),
        (Self::Failed, "the task failed: its operation, or its worker"),
        (Self::Expired, "the task expired: no result in time"),
        (Self::Cancelled, "the task was cancelled by its owner"),
        (Self::NotFound, "there is no such thing"),
        (Self::Unreachable, "the server cannot be reached"),
        (Self::Detached, "Ctrl-C while waiting: the task goes on"),
    ];

    /// The table, for `--help`.
    pub fn table() -> String {
        let lines = Self::ALL.map(|(exit, meaning)| format!("\n  {:<4} {meaning}", exit as u8));
        format!("Exit codes:{}", lines.concat())
    }

    /// The code of a command that failed with `error`.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<ConfigError>() {
            Self::Usage
        } else if error.is::<NoServer>() {
            Self::Unreachable
        } else if error.is::<NotSignedIn>() {
            Self::NotSignedIn
        } else if error.is::<NotFound>() {
            Self::NotFound
        } else {
            error.downcast_ref().map_or(Self::Error, Self::of_request)
        }
    }

    /// The code of a task that has ended without a result.
    pub const fn without_result(reason: Option<Reason>) -> Self {
        match reason {
            Some(Reason::TtlExpired | Reason::LateResult | Reason::NotStarted) => Self::Expired,
            Some(Reason::OperationFailed | Reason::WorkerLost) => Self::Failed,
            Some(Reason::Requested) | None => Self::Cancelled,
        }
    }

    fn of_request(error: &ClientError) -> Self {
        match error {
            ClientError::BadAddress { .. } => Self::Usage,
            ClientError::Unreachable { .. } | ClientError::Untrusted { .. } => Self::Unreachable,
            ClientError::Token { .. } if error.is_about_the_caller() => Self::NotSignedIn,
            refusal => refusal.problem().map_or(Self::Error, |problem| match problem.task_status {
                Some(Status::Cancelled) => Self::without_result(problem.reason),
                Some(Status::Created | Status::Running) => Self::NotEnded,
                Some(Status::Finished) => Self::Error,
                None => match problem.status {
                    401 => Self::NotSignedIn,
                    404 => Self::NotFound,
                    _ => Self::Error,
                },
            }),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use domain::Problem;

    use super::*;

    #[test]
    fn the_table_names_every_code_once() {
        let codes = Exit::ALL.map(|(exit, _)| exit as u8);
        assert!(codes.is_sorted_by(|one, next| one < next));
        assert!(Exit::table().contains("\n  6    the task expired"));
    }

    #[test]
    fn the_manual_has_the_same_table() {
        let manual = include_str!("../../../docs/command-line.md");
        for (exit, meaning) in Exit::ALL {
            let row = format!("| {} | {meaning} |", exit as u8);
            assert!(manual.contains(&row), "docs/command-line.md lacks {row}");
        }
    }

    #[test]
    fn a_senseless_setting_is_a_usage_error_however_deep_it_lies() {
        let error = anyhow::Error::new(ConfigError::new("no")).context("while starting");
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("broken")), Exit::Error);
    }

    #[test]
    fn a_refusal_says_whether_it_is_about_the_task_or_about_the_caller() {
        let refused = |status, task_status, reason| {
            let problem = Problem { task_status, reason, ..Problem::new(status, "x", "X", "because") };
            Exit::of(&ClientError::Refused { problem: Box::new(problem), retry_after: None }.into())
        };
        assert_eq!(refused(422, None, None), Exit::Error);
        assert_eq!(refused(404, None, None), Exit::NotFound);
        assert_eq!(refused(404, Some(Status::Running), None), Exit::NotEnded);
        assert_eq!(refused(404, Some(Status::Cancelled), Some(Reason::WorkerLost)), Exit::Failed);
        assert_eq!(refused(409, Some(Status::Cancelled), Some(Reason::LateResult)), Exit::Expired);
        assert_eq!(refused(409, Some(Status::Finished), None), Exit::Error);
        assert_eq!(refused(401, None, None), Exit::NotSignedIn);
        assert_eq!(refused(403, None, None), Exit::Error);
    }
}
