//! The operations of a worker, each with its specification: registered one by one, found by type.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use domain::{Isolation, RawJson, TypeName};
use jsonschema::Validator;

use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};
use crate::sdk::schema;

/// A running operation.
pub(crate) type OperationFuture = Pin<Box<dyn Future<Output = Result<RawJson, Failure>> + Send>>;

/// What a worker can do.
#[derive(Default)]
pub struct Operations(BTreeMap<TypeName, RegisteredOperation>);

/// An operation whose types are forgotten.
pub(crate) struct RegisteredOperation {
    spec: domain::Operation,
    parameters: Validator,
    start: Box<dyn Fn(RawJson, Context) -> OperationFuture + Send + Sync>,
}

/// How a failure begins that the operation never saw.
const PARAMETERS_REFUSED: &str = "PARAMETERS_REFUSED";

impl Operations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// These and `operation`.
    ///
    /// # Panics
    ///
    /// If its type or queue is no name, or the type is there already: programs that are wrong whenever they start.
    #[must_use]
    pub fn with<O: Operation>(mut self, operation: O) -> Self {
        let registered = RegisteredOperation::new(operation);
        let name = registered.spec.name.clone();
        let twin = self.0.insert(name, registered);
        assert!(twin.is_none(), "{} is registered twice", O::TYPE);
        self
    }

    /// As the catalogue will know them.
    pub fn specifications(&self) -> impl Iterator<Item = &domain::Operation> {
        self.0.values().map(|registered| &registered.spec)
    }

    pub(crate) fn types(&self) -> Vec<TypeName> {
        self.0.keys().cloned().collect()
    }

    pub(crate) fn find(&self, name: &TypeName) -> Option<&RegisteredOperation> {
        self.0.get(name)
    }
}

impl RegisteredOperation {
    fn new<O: Operation>(operation: O) -> Self {
        let spec = domain::Operation {
            name: O::TYPE.parse().unwrap_or_else(|error| panic!("{}: {error}", O::TYPE)),
            version: O::VERSION,
            queue: O::QUEUE.parse().unwrap_or_else(|error| panic!("{}: {error}", O::TYPE)),
            parameters: schema::of_parameters::<O::Params>(),
            result: schema::of_result::<O::Output>(),
            ttl: O::ttl(),
            isolation: Isolation::Async,
        };
        let parameters = jsonschema::validator_for(&spec.parameters)
            .unwrap_or_else(|error| panic!("{}: its parameters have no sound schema: {error}", O::TYPE));
        let operation = Arc::new(operation);
        let start = Box::new(move |parameters: RawJson, context| -> OperationFuture {
            let operation = Arc::clone(&operation);
            Box::pin(async move {
                let params = parameters.read().map_err(|error| refused(&error.to_string()))?;
                let output = operation.run(params, context).await?;
                Ok(RawJson::of(&output)?)
            })
        });
        Self { spec, parameters, start }
    }

    /// Checks the parameters and begins; what is wrong with them is the work's failure.
    pub(crate) fn start(&self, parameters: Option<RawJson>, context: Context) -> OperationFuture {
        match self.checked(parameters) {
            Ok(parameters) => (self.start)(parameters, context),
            Err(failure) => Box::pin(async move { Err(failure) }),
        }
    }

    fn checked(&self, parameters: Option<RawJson>) -> Result<RawJson, Failure> {
        let parameters = match parameters {
            Some(parameters) if !parameters.is_null() => parameters,
            _ => RawJson::parse("{}".to_owned())?,
        };
        let value = parameters.read().map_err(|error| refused(&error.to_string()))?;
        let faults: Vec<String> = self.parameters.iter_errors(&value).map(|fault| said(&fault)).collect();
        if faults.is_empty() { Ok(parameters) } else { Err(refused(&faults.join("; "))) }
    }
}

fn refused(why: &str) -> Failure {
    Failure::new(format!("{PARAMETERS_REFUSED}: {why}"))
}

/// Where a fault is and what it is.
fn said(fault: &jsonschema::ValidationError<'_>) -> String {
    match fault.instance_path().as_str() {
        "" => fault.to_string(),
        pointer => format!("{pointer}: {fault}"),
    }
}
