//! What the exit code says: the one table of codes.

use std::process::ExitCode;

use client::ClientError;
use domain::Status;

use crate::client::NoServer;
use crate::config::BadConfig;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// The request was refused, or something broke; the error says what.
    Failed,
    /// The command line or a setting makes no sense.
    Usage,
    /// The task has ended without a result.
    Cancelled,
    /// No answer from the server.
    Unreachable,
    /// The server does not know who asks, or does not allow it.
    Denied,
}

impl Exit {
    const ALL: [(Self, &str); 6] = [
        (Self::Done, "done"),
        (Self::Failed, "refused, or something broke: the error says what"),
        (Self::Usage, "the command line or a setting makes no sense"),
        (Self::Cancelled, "the task ended CANCELLED: there is no result"),
        (Self::Unreachable, "the server cannot be reached"),
        (Self::Denied, "not signed in, or not allowed"),
    ];

    /// The table, for `--help`.
    pub fn table() -> String {
        let lines = Self::ALL.map(|(exit, meaning)| format!("\n  {}  {meaning}", exit as u8));
        format!("Exit codes:{}", lines.concat())
    }

    /// The code of a command that failed with `error`.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<BadConfig>() {
            Self::Usage
        } else if error.is::<NoServer>() {
            Self::Unreachable
        } else {
            error.downcast_ref().map_or(Self::Failed, Self::of_request)
        }
    }

    fn of_request(error: &ClientError) -> Self {
        match error {
            ClientError::BadAddress { .. } => Self::Usage,
            ClientError::Unreachable { .. } | ClientError::Untrusted { .. } => Self::Unreachable,
            refusal if refusal.is_about_the_caller() => Self::Denied,
            refusal => match refusal.problem().and_then(|problem| problem.task_status) {
                Some(Status::Cancelled) => Self::Cancelled,
                _ => Self::Failed,
            },
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
    fn the_table_names_every_code_in_order() {
        for (code, (exit, _)) in Exit::ALL.iter().enumerate() {
            assert_eq!(*exit as usize, code);
        }
        assert!(Exit::table().contains("\n  3  the task ended CANCELLED"));
    }

    #[test]
    fn a_senseless_setting_is_a_usage_error_however_deep_it_lies() {
        let error = anyhow::Error::new(BadConfig::new("no")).context("while starting");
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("broken")), Exit::Failed);
    }

    #[test]
    fn a_refusal_says_whether_it_is_about_the_task_or_about_the_caller() {
        let refused = |status, task_status| {
            let problem = Problem { task_status, ..Problem::new(status, "x", "X", "because") };
            Exit::of(&ClientError::Refused { problem: Box::new(problem), retry_after: None }.into())
        };
        assert_eq!(refused(422, None), Exit::Failed);
        assert_eq!(refused(404, Some(Status::Running)), Exit::Failed);
        assert_eq!(refused(404, Some(Status::Cancelled)), Exit::Cancelled);
        assert_eq!(refused(403, None), Exit::Denied);
    }
}
