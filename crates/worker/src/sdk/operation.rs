//! The trait that an author of operations implements.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use domain::limits::{MAX_DELAY_OR_START_WITHIN_MS, MAX_SENT_RESULT_BYTES};
use domain::{RetryHint, SubmissionDefaults, SubmissionMaxima, TtlBounds};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use supervisor::Limits;
use telemetry::error_chain;

use crate::sdk::context::Context;

/// The code that runs the tasks of one type.
///
/// Its isolation level is `async` unless it says otherwise: it runs inside the worker's process, and when its task ends its future is dropped,
/// which takes effect at its next await. Code that computes for long without an await is not stopped, only its result is refused: its level should
/// be `process` ([`Operation::ISOLATION`]).
pub trait Operation: Send + Sync + 'static {
    /// The type of its tasks: the name by which submitters ask for it.
    const TYPE: &'static str;

    /// What the operation does, as a sentence for people.
    const DESCRIPTION: &'static str = "";

    /// The version. Raise it with every change of the schemas: the Backend refuses the same version with other schemas.
    const VERSION: u32 = 1;

    /// The queue of its tasks, shared with other operations. With Kafka each queue is a topic.
    const QUEUE: &'static str = "default";

    /// How it is isolated from the worker. With [`OperationIsolation::Process`] the program's `main` must call
    /// [`run_process`](crate::run_process) first.
    const ISOLATION: OperationIsolation = OperationIsolation::Async;

    /// The parameters. They are checked against the schema of this type at submission, and again before `run`. Absent
    /// parameters and `null` are read as `{}`; unknown members of an object are refused unless this type allows them.
    type Params: DeserializeOwned + JsonSchema + Send;

    /// The result. It is checked against the schema of this type, here and at the Backend.
    type Output: Serialize + JsonSchema;

    /// The longest and the default time to live of its tasks. By default neither is given, and the Backend's own hold.
    fn ttl() -> TtlBounds {
        TtlBounds::default()
    }

    /// What a submission of its type has that does not say otherwise: priority, attempts, pauses, times. By default nothing.
    fn defaults() -> SubmissionDefaults {
        SubmissionDefaults::default()
    }

    /// The most that a submission of its type may ask for. By default the Backend's own limits hold.
    fn maxima() -> SubmissionMaxima {
        SubmissionMaxima::default()
    }

    /// What bounds its processes, if it runs in processes of its own.
    fn process_bounds() -> ProcessBounds {
        ProcessBounds::default()
    }

    /// Runs one task. An error or a panic makes the task end as failed.
    fn run(
        &self,
        params: Self::Params,
        context: Context,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// How an operation is isolated from the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationIsolation {
    /// It runs inside the worker's process.
    Async,
    /// Each attempt runs in a process of its own, which is killed with all its descendants when the task ends.
    ///
    /// The process is the worker's program, started again. It inherits nothing of the worker's environment, which may hold secrets: there is
    /// no `PATH`, `HOME` or `RUST_LOG`, only what tells it its task. Its working directory is a new, empty one. What the operation needs comes
    /// from its parameters, from constants, and from files at absolute paths.
    Process,
}

/// What bounds the processes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessBounds {
    /// The time between SIGTERM and SIGKILL, after the deadline.
    pub grace: Duration,
    /// The most that they may use.
    pub limits: Limits,
}

/// One second of grace, and no limit but that of a result's size.
impl Default for ProcessBounds {
    fn default() -> Self {
        let limits = Limits {
            memory_bytes: None,
            processes: None,
            open_files: None,
            output_bytes: MAX_SENT_RESULT_BYTES as u64,
            cpu_seconds: None,
            file_bytes: None,
        };
        Self { grace: Duration::from_secs(1), limits }
    }
}

/// Why an operation failed, as a sentence that the task's owner can read. The operator `?` converts any error into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    sentence: String,
    retry: Option<RetryHint>,
    /// Whether it is not known that all processes of the operation have ended.
    is_stop_unconfirmed: bool,
}

impl Failure {
    /// A failure with the text `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), retry: None, is_stop_unconfirmed: false }
    }

    /// The same failure, after which the task is not tried again: another attempt would fail the same way.
    #[must_use]
    pub fn permanent(self) -> Self {
        Self { retry: Some(RetryHint::Never), ..self }
    }

    /// The same failure, after which the task is tried again after `pause` if its submission allows another attempt. Without this
    /// the pause is the one that the submission asks for.
    #[must_use]
    pub fn retry_after(self, pause: Duration) -> Self {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX).min(MAX_DELAY_OR_START_WITHIN_MS);
        Self { retry: Some(RetryHint::AfterMs(millis)), ..self }
    }

    /// The failure that a panic is reported as, with the panic's text if it has one.
    pub(crate) fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        match text {
            Some(text) => Self::new(format!("the operation panicked: {text}")),
            None => Self::new("the operation panicked"),
        }
    }

    /// The same failure, of a program of which some process may still run.
    pub(crate) fn with_unconfirmed_stop(self) -> Self {
        Self { is_stop_unconfirmed: true, ..self }
    }

    /// Whether it is not known that all processes of the operation have ended.
    pub(crate) const fn is_stop_unconfirmed(&self) -> bool {
        self.is_stop_unconfirmed
    }

    /// What the failure says about another attempt.
    pub(crate) const fn retry_hint(&self) -> Option<RetryHint> {
        self.retry
    }
}

/// The text of the error and its causes. (`Failure` does not implement `Error`: this implementation would conflict.)
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error_chain(&error))
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.sentence
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}
