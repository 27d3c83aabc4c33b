//! What supervisors tell workers, and init processes tell supervisors: a line of JSON each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a supervisor tells its worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SupervisorEvent {
    /// A line of the program's standard output.
    Line(String),
    /// The program has ended; the last event.
    Ended(Ended),
}

/// How a program has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why it ended.
    pub reason: EndReason,
    /// Its standard output, unless that was sent line by line; `None` if it is not UTF-8.
    pub output: Option<String>,
    /// The end of its standard error. Bytes that are not UTF-8 are replaced.
    pub error_tail: String,
    /// Whether no process of it is left. `false`: some could not be killed in time.
    pub is_confirmed: bool,
}

/// Why a program has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// It returned this exit code.
    Exited(i32),
    /// A signal of this number ended it, which the supervisor did not send.
    Signalled(i32),
    /// Its deadline passed.
    DeadlinePassed,
    /// The worker asked for it.
    Stopped,
    /// It exceeded a limit.
    LimitExceeded(Limit),
    /// It could not be started, for this reason.
    NotStarted(String),
    /// The process that ran it was killed by somebody else.
    InitProcessLost,
    /// The supervisor ended without a word.
    SupervisorLost,
}

/// A limit of [`Limits`](crate::Limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// `memory_bytes`.
    Memory,
    /// `processes`.
    Processes,
    /// `output_bytes`.
    Output,
    /// `cpu_seconds`.
    ProcessorTime,
    /// `file_bytes`.
    FileSize,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Output => "output",
            Self::ProcessorTime => "processor time",
            Self::FileSize => "file size",
        })
    }
}

/// What an init process tells its supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum InitEvent {
    /// The program returned this exit code.
    Exited(i32),
    /// A signal of this number ended the program.
    Signalled(i32),
    /// The program could not be started.
    NotStarted(String),
}
