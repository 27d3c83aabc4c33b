//! An operation with its compiled JSON Schemas, which validate the parameters of submissions and the results of attempts.

use domain::{Fault, Operation, RawJson};
use json_schema::{InvalidSchema, JsonSchema, Violation};
use serde_json::Value;

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

impl CompiledOperation {
    /// Compiles the schemas of the operation; logs why if one does not compile.
    pub(crate) fn compile_or_log(operation: Operation) -> Option<Self> {
        match compile_schemas(&operation) {
            Ok((parameters, result)) => Some(Self { operation, parameters, result }),
            Err(error) => {
                tracing::error!(%error, "a schema of {} does not compile", operation.name);
                None
            }
        }
    }

    /// Validates parameters against the schema. Absent parameters, `null` and `{}` are the same.
    pub(crate) fn validate(&self, parameters: Option<&RawJson>) -> Result<(), ApiError> {
        let value = match parameters.filter(|json| !json.is_null()) {
            None => Value::Object(serde_json::Map::new()),
            Some(json) => json.read::<NoDuplicateMembers>().and_then(|_| json.read()).map_err(|error| {
                let detail = format!("the parameters cannot be read: {error}");
                ApiError::invalid("parameters-unreadable", "/parameters", detail)
            })?,
        };
        let faults: Vec<Fault> = self.parameters.violations(&value).into_iter().map(fault).collect();
        if faults.is_empty() { Ok(()) } else { Err(ApiError::Invalid { slug: "parameters-refused", faults }) }
    }

    /// The rules of the result's schema that `result` breaks; none if it is valid.
    pub(crate) fn violations_of_result(&self, result: &RawJson) -> Result<Vec<Violation>, serde_json::Error> {
        if self.result.accepts_everything() {
            return Ok(Vec::new());
        }
        Ok(self.result.violations(&result.read()?))
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
