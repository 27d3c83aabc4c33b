//! What a worker asks a supervisor to run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt_mark::AttemptMark;
use crate::boot_clock::BootInstant;

/// How many bytes of the end of the standard error are kept.
pub const STANDARD_ERROR_TAIL_BYTES: usize = 16 << 10;

/// A program, and everything that bounds its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramToRun {
    /// The program and its arguments. A program without a slash is looked for in the `PATH` of `environment`.
    pub arguments: Vec<String>,
    /// What the program reads from its standard input.
    pub input: String,
    /// All variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// Its working directory; `None`: a new empty one that only it may read, removed afterwards.
    pub directory: Option<PathBuf>,
    /// The name or the number of the user to run as; `None`: the user of the worker.
    pub user: Option<String>,
    /// When it must have ended.
    pub deadline: BootInstant,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Grace,
    /// The most that it may use.
    pub limits: Limits,
    /// Whether each line of its standard output is sent to the worker at once; otherwise the whole output is sent at the end.
    pub sends_lines: bool,
}

/// The time between SIGTERM and SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// Its length. Zero: SIGKILL at once.
    pub duration: Duration,
    /// Whether it ends at the deadline; otherwise it begins there.
    pub is_before_deadline: bool,
}

/// The most that a program and its descendants may use. `None`: not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all processes together, in bytes.
    pub memory_bytes: Option<u64>,
    /// How many processes and threads there may be at once.
    pub processes: Option<u32>,
    /// How many files each process may have open.
    pub open_files: Option<u64>,
    /// How much the program may write to its standard output, in bytes.
    pub output_bytes: u64,
    /// How long each process may use a processor, in seconds.
    pub cpu_seconds: Option<u64>,
    /// The largest file that a process may write, in bytes.
    pub file_bytes: Option<u64>,
}

/// The first line that a worker sends to a supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// What marks the processes of this attempt.
    pub(crate) mark: AttemptMark,
    /// The program.
    pub(crate) program: ProgramToRun,
    /// The control group of this attempt, to be created and removed; `None`: not used.
    pub(crate) cgroup: Option<PathBuf>,
    /// Whether the program runs in a PID namespace of its own.
    pub(crate) in_namespace: bool,
    /// The directory of this attempt, to be created and removed.
    pub(crate) scratch: PathBuf,
}

/// The first line that a supervisor sends to an init process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InitLaunch {
    /// The program; `input` is empty, and `directory` is given.
    pub(crate) program: ProgramToRun,
    /// The file that holds the standard input.
    pub(crate) input_file: PathBuf,
}
