//! An operation with its compiled JSON Schemas, which validate the parameters of submissions and the results of attempts.

use std::sync::Arc;

use domain::problem_types::tasks::{PARAMETERS_REFUSED, PARAMETERS_UNREADABLE};
use domain::{Fault, Operation, RawJson};
use json_schema::{InvalidSchema, JsonSchema, Violation};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::catalogue::duplicate_members::NoDuplicateMembers;
use crate::error::ApiError;
use crate::invalid_input_text::{did_you_mean, pointer};

/// An operation that can validate parameters and results.
#[derive(Debug)]
pub(crate) struct CompiledOperation {
    pub(crate) operation: Operation,
    parameters: JsonSchema,
    result: JsonSchema,
}

/// Documents that are longer, in bytes, are validated on a thread of their own: the runtime's threads also serve the deadlines.
const MAX_INLINE_BYTES: usize = 16 << 10;

/// The most threads that compile schemas or validate large documents at once.
static THREADS: Semaphore = Semaphore::const_new(4);

/// Runs `work` on a thread of its own.
pub(crate) async fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let _thread = THREADS.acquire().await.expect("the semaphore is never closed");
    spawn_blocking(work).await.expect("neither compilation nor validation panics")
}

impl CompiledOperation {
    /// Compiles the schemas of operations, on a thread of their own. Logs why if one does not compile, and leaves it out.
    pub(crate) async fn compile_all(operations: Vec<Operation>) -> Vec<Self> {
        if operations.is_empty() {
            return Vec::new();
        }
        let compile = || operations.into_iter().filter_map(Self::compile_or_log).collect();
        on_own_thread(compile).await
    }

    fn compile_or_log(operation: Operation) -> Option<Self> {
        match compile_schemas(&operation) {
            Ok((parameters, result)) => Some(Self { operation, parameters, result }),
            Err(error) => {
                tracing::error!(%error, "a schema of {} does not compile", operation.name);
                None
            }
        }
    }

    /// Validates parameters against the schema. Absent parameters, `null` and `{}` are the same.
    pub(crate) async fn validate(self: &Arc<Self>, parameters: Option<&RawJson>) -> Result<(), ApiError> {
        match parameters.filter(|json| json.text().len() > MAX_INLINE_BYTES).cloned() {
            None => self.validate_now(parameters),
            Some(parameters) => {
                let operation = Arc::clone(self);
                let validate = move || operation.validate_now(Some(&parameters));
                on_own_thread(validate).await
            }
        }
    }

    fn validate_now(&self, parameters: Option<&RawJson>) -> Result<(), ApiError> {
        let value = match parameters.filter(|json| !json.is_null()) {
            None => Value::Object(serde_json::Map::new()),
            Some(json) => json.read::<NoDuplicateMembers>().and_then(|_| json.read()).map_err(|error| {
                let detail = format!("the parameters cannot be read: {error}");
                ApiError::invalid(&PARAMETERS_UNREADABLE, "/parameters", detail)
            })?,
        };
        let faults: Vec<Fault> = self.parameters.violations(&value).into_iter().map(fault).collect();
        if faults.is_empty() { Ok(()) } else { Err(ApiError::Invalid { of: &PARAMETERS_REFUSED, faults }) }
    }

    /// The rules of the result's schema that `result` breaks; none if it is valid. `result` must be JSON that can be read.
    pub(crate) async fn violations_of_result(self: &Arc<Self>, result: &RawJson) -> Vec<Violation> {
        let violations = |operation: &Self, result: &RawJson| {
            operation.result.violations(&result.read().expect("the result has been read before"))
        };
        if self.result.accepts_everything() {
            return Vec::new();
        }
        if result.text().len() <= MAX_INLINE_BYTES {
            return violations(self, result);
        }
        let (operation, result) = (Arc::clone(self), result.clone());
        on_own_thread(move || violations(&operation, &result)).await
    }
}

fn compile_schemas(operation: &Operation) -> Result<(JsonSchema, JsonSchema), InvalidSchema> {
    Ok((JsonSchema::compile(&operation.parameters)?, JsonSchema::compile(&operation.result)?))
}

/// A violation by the parameters of a submission.
fn fault(violation: Violation) -> Fault {
    match violation {
        Violation::UnknownMember { object, name, declared } => {
            let hint = did_you_mean(&name, declared.iter().map(String::as_str));
            let pointer = pointer(&format!("/parameters{object}"), &name);
            Fault { pointer, detail: format!("there is no parameter {name:?}{hint}") }
        }
        Violation::Rule { pointer, detail } => Fault { pointer: format!("/parameters{pointer}"), detail },
    }
}
