//! What a benchmark measures of each task.

use domain::{Reason, Status};

/// The duration that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchmarkKind {
    /// From the request to the answer of a submission.
    Submission,
    /// From the submission to the end of the task.
    EndToEnd,
    /// From the deadline of a task that does not end by itself to its end, and to the stop of its work.
    Lateness,
    /// From the request to cancel a running task to the answer, and to the stop of its work.
    Cancellation,
}

impl BenchmarkKind {
    /// The name of the measurement: that of its subcommand, except for `cancel`, which is a part of `ttl`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submission => "submit",
            Self::EndToEnd => "run",
            Self::Lateness => "ttl",
            Self::Cancellation => "cancel",
        }
    }

    /// The description of the duration in the report.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Submission => "until accepted",
            Self::EndToEnd => "until ended",
            Self::Lateness => "ended after the deadline",
            Self::Cancellation => "answered after the request",
        }
    }

    /// The description in the report of the time until the work of a task has stopped.
    pub const fn stop_description(self) -> &'static str {
        match self {
            Self::Cancellation => "stopped after the request",
            Self::Submission | Self::EndToEnd | Self::Lateness => "stopped after the deadline",
        }
    }

    /// Whether the tasks are to run until they are ended.
    pub const fn is_endless(self) -> bool {
        matches!(self, Self::Lateness | Self::Cancellation)
    }

    /// The default type and time to live, in milliseconds.
    pub const fn defaults(self) -> (&'static str, u64) {
        if self.is_endless() { ("SLEEP", 500) } else { ("ECHO", 60_000) }
    }

    /// Whether a task of the measurement was to end so.
    pub fn expects(self, status: Status, reason: Option<Reason>) -> bool {
        match self {
            Self::Lateness => reason == Some(Reason::TtlExpired),
            Self::Cancellation => reason == Some(Reason::Requested),
            Self::Submission | Self::EndToEnd => status == Status::Finished,
        }
    }
}
