//! The trait that an author of operations implements.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use domain::limits::MAX_DELAY_OR_START_WITHIN_MS;
use domain::{RetryHint, SubmissionDefaults, SubmissionMaxima, TtlBounds};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry::error_chain;

use crate::sdk::context::Context;

/// The code that runs the tasks of one type.
///
/// Its isolation level is `async`: it runs inside the worker's process, and when its task ends its future is dropped, which
/// takes effect at its next await. Code that computes for long without an await is not stopped, only its result is refused;
/// run such code on a thread that calls [`Context::is_stopped`] now and then.
pub trait Operation: Send + Sync + 'static {
    /// The type of its tasks: the name by which submitters ask for it.
    const TYPE: &'static str;

    /// What the operation does, as a sentence for people.
    const DESCRIPTION: &'static str = "";

    /// The version. Raise it with every change of the schemas: the Backend refuses the same version with other schemas.
    const VERSION: u32 = 1;

    /// The queue of its tasks, shared with other operations. With Kafka each queue is a topic.
    const QUEUE: &'static str = "default";

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

    /// Runs one task. An error or a panic makes the task end as failed.
    fn run(
        &self,
        params: Self::Params,
        context: Context,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// Why an operation failed, as a sentence that the task's owner can read. The operator `?` converts any error into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    sentence: String,
    retry: Option<RetryHint>,
}

impl Failure {
    /// A failure with the text `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), retry: None }
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
