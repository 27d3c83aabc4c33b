//! What an operation is: a type, its parameters, its output, and the work between them.

use std::error::Error;
use std::fmt;

use domain::TtlBounds;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry::error_chain;

use crate::sdk::context::Context;

/// Work that a task may ask for.
///
/// Its isolation level is `async`: it runs inside the worker, and at its task's end its future is dropped, which takes
/// effect at its next await. Code that computes for long without an await is not stopped, only its result is refused;
/// hand such work to a thread that asks [`Context::is_stopped`] now and then.
pub trait Operation: Send + Sync + 'static {
    /// What submitters call it.
    const TYPE: &'static str;

    /// Raised with every change of the schemas: the catalogue refuses the same version with others.
    const VERSION: u32 = 1;

    /// The topic that its tasks share with those of other operations.
    const QUEUE: &'static str = "default";

    /// What it needs. Absent parameters and `null` are read as `{}`. Its schema is checked before `run`, and at submission;
    /// unknown members of an object are refused unless its type says otherwise.
    type Params: DeserializeOwned + JsonSchema + Send;

    /// What it makes.
    type Output: Serialize + JsonSchema;

    /// How long its tasks may live.
    fn ttl() -> TtlBounds {
        TtlBounds::default()
    }

    /// Does it. A panic is a failure too.
    fn run(
        &self,
        params: Self::Params,
        context: Context,
    ) -> impl Future<Output = Result<Self::Output, Failure>> + Send;
}

/// Why an operation failed, as a sentence that the task's owner will read. Any error becomes one with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure that says `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// The error and its causes. (`Failure` is no `Error` itself, or this could not be written.)
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error_chain(&error))
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
