//! The exit codes of the program: the one table of codes and their meanings.

use std::process::ExitCode;

use client::ClientError;
use domain::{Reason, Status};

use crate::command_error::{NoServer, NotFound, NotSignedIn};
use crate::config::error::ConfigError;

/// How a command ended; the number is the process's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// The request was refused, or something failed; standard error has the cause.
    Error = 1,
    /// The command line or a setting is invalid.
    Usage = 2,
    /// The task has not ended yet.
    NotEnded = 3,
    /// Nobody is signed in, or the sign-in has expired.
    NotSignedIn = 4,
    /// The task ended without a result: its operation failed, or its worker was lost.
    Failed = 5,
    /// The task ended without a result: it expired.
    Expired = 6,
    /// The task ended without a result: its owner cancelled it.
    Cancelled = 7,
    /// The task, operation or account does not exist.
    NotFound = 8,
    /// The server does not answer.
    Unreachable = 9,
    /// Ctrl-C ended the wait; the task continues.
    Detached = 130,
}

impl Exit {
    /// Every code with its meaning, in ascending order.
    const ALL: [(Self, &str); 11] = [
        (Self::Done, "success"),
        (Self::Error, "the request was refused, or something failed"),
        (Self::Usage, "the command line or a setting is invalid"),
        (Self::NotEnded, "the task has not ended within the time of the wait"),
        (Self::NotSignedIn, "not signed in, or the sign-in has ended: use tasker login"),
        (Self::Failed, "the task failed: its operation failed, or its worker was lost"),
        (Self::Expired, "the task expired: no result in time"),
        (Self::Cancelled, "the task was cancelled by its owner"),
        (Self::NotFound, "not found"),
        (Self::Unreachable, "the server cannot be reached"),
        (Self::Detached, "Ctrl-C while waiting: the task continues"),
    ];

    /// The table of exit codes for `--help`.
    pub fn table() -> String {
        let lines = Self::ALL.map(|(exit, meaning)| format!("\n  {:<4} {meaning}", exit as u8));
        format!("Exit codes:{}", lines.concat())
    }

    /// The exit code of a command that failed with `error`.
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

    /// The exit code for a task that ended without a result.
    pub const fn without_result(reason: Option<Reason>) -> Self {
        match reason {
            Some(Reason::TtlExpired | Reason::LateResult | Reason::NotStarted) => Self::Expired,
            Some(Reason::OperationFailed | Reason::WorkerLost | Reason::DependencyFailed) => Self::Failed,
            Some(Reason::Requested) | None => Self::Cancelled,
        }
    }

    /// The exit code for a request that failed.
    fn of_request(error: &ClientError) -> Self {
        match error {
            ClientError::BadAddress { .. } => Self::Usage,
            ClientError::Unreachable { .. } | ClientError::Untrusted { .. } => Self::Unreachable,
            ClientError::Token { .. } if error.is_caller_refused() => Self::NotSignedIn,
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
    use domain::problem_types::requests::INTERNAL;

    use super::*;

    #[test]
    fn the_table_names_every_code_once() {
        let codes = Exit::ALL.map(|(exit, _)| exit as u8);
        assert!(codes.is_sorted_by(|one, next| one < next));
        assert!(Exit::table().contains("\n  6    the task expired"));
    }

    #[test]
    fn the_command_line_page_has_the_same_table() {
        let manual = include_str!("../../../docs/command-line.md");
        for (exit, meaning) in Exit::ALL {
            let row = format!("| {} | {meaning} |", exit as u8);
            assert!(manual.contains(&row), "docs/command-line.md lacks {row}");
        }
    }

    #[test]
    fn an_invalid_setting_is_a_usage_error_also_as_a_cause() {
        let error = anyhow::Error::new(ConfigError::new("no")).context("while starting");
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("broken")), Exit::Error);
    }

    #[test]
    fn a_refused_request_has_the_code_of_its_problem() {
        let refused = |status, task_status, reason| {
            let problem = Problem { status, task_status, reason, ..Problem::new(&INTERNAL, "because") };
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
