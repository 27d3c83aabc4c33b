//! The registry of a worker's operations, found by type.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use domain::limits::refused_result;
use domain::{ExecutionIsolation, RawJson, TypeName};
use json_schema::JsonSchema;
use serde_json::Value;

use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};
use crate::sdk::schema;

/// The future of a running operation.
pub(crate) type OperationFuture = Pin<Box<dyn Future<Output = Result<RawJson, Failure>> + Send>>;

/// The operations of a worker.
#[derive(Default)]
pub struct Operations(BTreeMap<TypeName, RegisteredOperation>);

/// An operation with its Rust types erased: it takes and returns JSON.
pub(crate) struct RegisteredOperation {
    specification: domain::Operation,
    parameters: JsonSchema,
    start: Box<dyn Fn(RawJson, Context) -> OperationFuture + Send + Sync>,
}

/// The marker at the start of a failure's text that says that the parameters are invalid and the operation did not run.
const PARAMETERS_REFUSED: &str = "PARAMETERS_REFUSED";

impl Operations {
    /// No operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `operation`.
    ///
    /// # Panics
    ///
    /// If its type or queue is not a valid name, its parameters or its result have no valid schema, or its type is registered
    /// already: errors of the program that show at every start.
    #[must_use]
    pub fn with<O: Operation>(mut self, operation: O) -> Self {
        let registered = RegisteredOperation::new(operation);
        let name = registered.specification.name.clone();
        let duplicate = self.0.insert(name, registered);
        assert!(duplicate.is_none(), "{} is registered twice", O::TYPE);
        self
    }

    /// The operations as they are registered with the Backend: types, versions, schemas.
    pub fn specifications(&self) -> impl Iterator<Item = &domain::Operation> {
        self.0.values().map(|registered| &registered.specification)
    }

    /// The types of all operations.
    pub(crate) fn types(&self) -> Vec<TypeName> {
        self.0.keys().cloned().collect()
    }

    /// The operation that runs tasks of the type `name`.
    pub(crate) fn find(&self, name: &TypeName) -> Option<&RegisteredOperation> {
        self.0.get(name)
    }
}

impl RegisteredOperation {
    fn new<O: Operation>(operation: O) -> Self {
        let specification = domain::Operation {
            name: O::TYPE.parse().unwrap_or_else(|error| panic!("{}: {error}", O::TYPE)),
            version: O::VERSION,
            queue: O::QUEUE.parse().unwrap_or_else(|error| panic!("{}: {error}", O::TYPE)),
            parameters: schema::of_parameters::<O::Params>(),
            result: schema::result_schema::<O::Output>(),
            ttl: O::ttl(),
            defaults: O::defaults(),
            maxima: O::maxima(),
            description: O::DESCRIPTION.to_owned(),
            isolation: ExecutionIsolation::Async,
        };
        let compile = |what, schema| {
            let compiled = JsonSchema::compile(schema);
            compiled.unwrap_or_else(|error| panic!("{}: its {what} has no valid schema: {error}", O::TYPE))
        };
        let parameters = compile("parameter type", &specification.parameters);
        let result = Arc::new(compile("result type", &specification.result));
        let operation = Arc::new(operation);
        let start = Box::new(move |parameters: RawJson, context| -> OperationFuture {
            let (operation, result) = (Arc::clone(&operation), Arc::clone(&result));
            Box::pin(async move {
                let params = parameters.read().map_err(|error| invalid_parameters(&error.to_string()))?;
                let output = RawJson::of(&operation.run(params, context).await?)?;
                check_result(&result, &output)?;
                Ok(output)
            })
        });
        Self { specification, parameters, start }
    }

    /// Checks the parameters and starts the operation. The future of a task with invalid parameters fails at once.
    pub(crate) fn start(&self, parameters: Option<RawJson>, context: Context) -> OperationFuture {
        match self.validate(parameters) {
            Ok(parameters) => (self.start)(parameters, context),
            Err(failure) => Box::pin(async move { Err(failure) }),
        }
    }

    /// The parameters, if they match the schema; `{}` if there are none.
    fn validate(&self, parameters: Option<RawJson>) -> Result<RawJson, Failure> {
        let parameters = match parameters {
            Some(parameters) if !parameters.is_null() => parameters,
            _ => RawJson::parse("{}".to_owned())?,
        };
        let value: Value = parameters.read().map_err(|error| invalid_parameters(&error.to_string()))?;
        let violations = self.parameters.violations(&value);
        if violations.is_empty() {
            Ok(parameters)
        } else {
            Err(invalid_parameters(&json_schema::join(&violations)))
        }
    }
}

/// Fails if the schema does not allow the result. The Rust type and its schema may differ where one of them is written by hand.
fn check_result(schema: &JsonSchema, result: &RawJson) -> Result<(), Failure> {
    if schema.accepts_everything() {
        return Ok(());
    }
    let violations = schema.violations(&result.read()?);
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(refused_result(json_schema::join(&violations))))
    }
}

fn invalid_parameters(cause: &str) -> Failure {
    Failure::new(format!("{PARAMETERS_REFUSED}: {cause}"))
}
