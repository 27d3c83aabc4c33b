//! An operation with its compiled JSON Schema, which validates the parameters of submissions.

use domain::{Fault, Operation, RawJson};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use telemetry::error_chain;

use crate::catalogue::duplicate_members::NoDuplicateMembers;
use crate::error::ApiError;
use crate::invalid_input_text::{did_you_mean, pointer};

/// The most faults that are listed for one submission.
const MAX_FAULTS: usize = 20;

/// A description of a fault that is longer than this, in bytes, does not quote the value.
const MAX_FAULT_BYTES: usize = 300;

/// An operation that can validate parameters.
#[derive(Debug)]
pub(crate) struct CompiledOperation {
    pub(crate) operation: Operation,
    parameters: Validator,
}

impl CompiledOperation {
    /// Compiles the schema of the operation's parameters; logs why if it does not compile.
    pub(crate) fn compile_or_log(operation: Operation) -> Option<Self> {
        match compile_schema(&operation.parameters) {
            Ok(parameters) => Some(Self { operation, parameters }),
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "the schema of {} does not compile", operation.name);
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
        let errors = self.parameters.iter_errors(&value);
        let faults: Vec<Fault> = errors.flat_map(|error| self.faults(&error)).take(MAX_FAULTS).collect();
        if faults.is_empty() { Ok(()) } else { Err(ApiError::Invalid { slug: "parameters-refused", faults }) }
    }

    fn faults(&self, error: &ValidationError<'_>) -> Vec<Fault> {
        let place = format!("/parameters{}", error.instance_path());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                // In the schema, `additionalProperties` and `properties` are members of the same object.
                let keyword = error.schema_path().to_string();
                let parent = keyword.rsplit_once('/').map_or("", |(parent, _)| parent);
                let declared = self.operation.parameters.pointer(&format!("{parent}/properties"));
                let declared = declared.and_then(Value::as_object).into_iter().flatten();
                let names: Vec<&str> = declared.map(|(name, _)| &**name).collect();
                unexpected.iter().map(|name| unknown_parameter(&place, name, &names)).collect()
            }
            _ => {
                let detail = Some(error.to_string()).filter(|detail| detail.len() <= MAX_FAULT_BYTES);
                let detail = detail.unwrap_or_else(|| error.masked_with("this").to_string());
                vec![Fault { pointer: place, detail }]
            }
        }
    }
}

fn unknown_parameter(place: &str, name: &str, names: &[&str]) -> Fault {
    let hint = did_you_mean(name, names.iter().copied());
    Fault { pointer: pointer(place, name), detail: format!("there is no parameter {name:?}{hint}") }
}

/// Compiles a JSON Schema. Its patterns run in linear time, since schemas come from outside.
pub(crate) fn compile_schema(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options().with_pattern_options(PatternOptions::regex()).build(schema)
}
