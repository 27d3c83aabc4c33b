//! What a benchmark measures of each task.

/// The duration that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchmarkKind {
    /// From the request to the answer of a submission.
    Submission,
    /// From the submission to the end of the task.
    EndToEnd,
    /// From the deadline of a task that does not end by itself to its end.
    Lateness,
}

impl BenchmarkKind {
    /// The subcommand that measures it.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Submission => "submit",
            Self::EndToEnd => "run",
            Self::Lateness => "ttl",
        }
    }

    /// The description of the duration in the report.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Submission => "until accepted",
            Self::EndToEnd => "until ended",
            Self::Lateness => "after the deadline",
        }
    }

    /// The default type and time to live, in milliseconds.
    pub const fn defaults(self) -> (&'static str, u64) {
        match self {
            Self::Submission | Self::EndToEnd => ("ECHO", 60_000),
            Self::Lateness => ("SLEEP", 500),
        }
    }
}
