//! The registry of a worker's operations, found by type.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::limits::refused_result;
use domain::{ExecutionIsolation, QueueName, RawJson, StopMeansKind, TypeName};
use json_schema::JsonSchema;
use serde_json::Value;

use crate::declared::declared_operation::{DeclaredOperation, DeclaredRun};
use crate::program::program_operation::ProgramOperation;
use crate::program::supervision::Supervision;
use crate::registry::operation_start::{
    OperationFuture, OperationStart, invalid_parameters, start_in_this_process, start_of_program,
    start_of_request,
};
use crate::registry::own_program::own_program;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation, OperationIsolation};
use crate::sdk::schema;

/// The operations of a worker.
#[derive(Default)]
pub struct Operations {
    registered: BTreeMap<TypeName, Arc<RegisteredOperation>>,
    supervision: Arc<Supervision>,
}

/// An operation with its Rust types erased: it takes and returns JSON.
pub(crate) struct RegisteredOperation {
    specification: domain::Operation,
    parameters: JsonSchema,
    result: Arc<JsonSchema>,
    start: OperationStart,
    /// Starts it inside this process, if `start` starts another one.
    start_here: Option<OperationStart>,
    /// The time between SIGTERM and SIGKILL of an operation that runs under a supervisor.
    grace: Duration,
}

/// A worker cannot have an operation that is declared, since it has another one of the same type.
#[derive(Debug, thiserror::Error)]
#[error("operation {0} is declared, but the worker has an operation of this type already")]
pub struct TypeTaken(TypeName);

impl Operations {
    /// No operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same operations; programs that are added later run under `supervision`. Without this the supervisors are processes of the
    /// program of this process and use all means.
    #[must_use]
    pub fn supervised_by(self, supervision: Arc<Supervision>) -> Self {
        Self { supervision, ..self }
    }

    /// Adds `operation`.
    ///
    /// # Panics
    ///
    /// If its type or queue is not a valid name, its parameters or its result have no valid schema, or its type is registered
    /// already: errors of the program that show at every start.
    #[must_use]
    pub fn with<O: Operation>(mut self, operation: O) -> Self {
        let registered = RegisteredOperation::new(operation, &self.supervision);
        let name = registered.specification.name.clone();
        let duplicate = self.registered.insert(name, Arc::new(registered));
        assert!(duplicate.is_none(), "{} is registered twice", O::TYPE);
        self
    }

    /// Adds operations that settings declare. Fails if the type of one is registered already.
    pub fn with_declared(mut self, declared: Vec<DeclaredOperation>) -> Result<Self, TypeTaken> {
        for operation in declared {
            let name = operation.specification.name.clone();
            let registered = RegisteredOperation::declared(operation, Arc::clone(&self.supervision));
            if self.registered.insert(name.clone(), Arc::new(registered)).is_some() {
                return Err(TypeTaken(name));
            }
        }
        Ok(self)
    }

    /// The operations as they are registered with the Backend: types, versions, schemas.
    pub fn specifications(&self) -> impl Iterator<Item = &domain::Operation> {
        self.registered.values().map(|registered| &registered.specification)
    }

    /// The types of all operations.
    pub(crate) fn types(&self) -> Vec<TypeName> {
        self.registered.keys().cloned().collect()
    }

    /// The queues of all operations.
    pub(crate) fn queues(&self) -> BTreeSet<QueueName> {
        self.specifications().map(|operation| operation.queue.clone()).collect()
    }

    /// The operation that runs tasks of the type `name`.
    pub(crate) fn find(&self, name: &TypeName) -> Option<Arc<RegisteredOperation>> {
        self.registered.get(name).map(Arc::clone)
    }

    /// The longest time between SIGTERM and SIGKILL of an operation that runs processes.
    pub(crate) fn longest_grace(&self) -> Duration {
        let supervised = self.registered.values().filter(|registered| registered.is_supervised());
        supervised.map(|registered| registered.grace()).max().unwrap_or_default()
    }

    /// Finds out by what means programs are killed, if an operation runs one. It starts processes, so it comes before tasks are taken.
    pub(crate) fn prepare_supervision(&self) {
        if self.has_supervised() {
            self.supervision.means();
        }
    }

    /// By what means programs are killed; none if no operation runs one.
    pub(crate) fn stop_means(&self) -> BTreeSet<StopMeansKind> {
        if self.has_supervised() { self.supervision.kinds() } else { BTreeSet::new() }
    }

    fn has_supervised(&self) -> bool {
        self.specifications().any(|operation| operation.isolation.is_supervised())
    }
}

impl RegisteredOperation {
    fn new<O: Operation>(operation: O, supervision: &Arc<Supervision>) -> Self {
        let specification = specification_of::<O>();
        let compile = |what, schema| {
            let compiled = JsonSchema::compile(schema);
            compiled.unwrap_or_else(|error| panic!("{}: its {what} has no valid schema: {error}", O::TYPE))
        };
        let parameters = compile("parameter type", &specification.parameters);
        let result = Arc::new(compile("result type", &specification.result));
        let grace = O::process_bounds().grace;
        let here = start_in_this_process(operation);
        let (start, start_here) = match O::ISOLATION {
            OperationIsolation::Async => (here, None),
            OperationIsolation::Process => {
                (start_of_program(own_program::<O>(), Arc::clone(supervision)), Some(here))
            }
        };
        Self { specification, parameters, result, start, start_here, grace }
    }

    fn declared(declared: DeclaredOperation, supervision: Arc<Supervision>) -> Self {
        let DeclaredOperation { specification, parameters, result, run } = declared;
        let (start, grace) = match run {
            DeclaredRun::Exec(settings) => {
                let program = ProgramOperation::from(settings);
                let grace = program.grace();
                (start_of_program(program, supervision), grace)
            }
            DeclaredRun::Http(operation, output) => (start_of_request(operation, output), Duration::ZERO),
        };
        Self { specification, parameters, result: Arc::new(result), start, start_here: None, grace }
    }

    /// Whether a supervisor stops it, so that its future must be waited for and not be dropped.
    pub(crate) const fn is_supervised(&self) -> bool {
        self.specification.isolation.is_supervised()
    }

    /// Its isolation level.
    pub(crate) const fn isolation(&self) -> ExecutionIsolation {
        self.specification.isolation
    }

    /// The time between SIGTERM and SIGKILL.
    pub(crate) const fn grace(&self) -> Duration {
        self.grace
    }

    /// Checks the parameters and starts the operation. The future of a task with invalid parameters fails at once.
    pub(crate) fn start(&self, parameters: Option<RawJson>, context: Context) -> OperationFuture {
        self.start_by(&self.start, parameters, context)
    }

    /// Checks the parameters and starts the operation inside this process.
    pub(crate) fn start_here(&self, parameters: Option<RawJson>, context: Context) -> OperationFuture {
        self.start_by(self.start_here.as_ref().unwrap_or(&self.start), parameters, context)
    }

    fn start_by(
        &self,
        start: &OperationStart,
        parameters: Option<RawJson>,
        context: Context,
    ) -> OperationFuture {
        let (running, result) = match self.validate(parameters) {
            Ok(parameters) => (start(parameters, context), Arc::clone(&self.result)),
            Err(failure) => return Box::pin(async move { Err(failure) }),
        };
        Box::pin(async move {
            let output = running.await?;
            check_result(&result, &output)?;
            Ok(output)
        })
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

/// The operation as it is registered with the Backend.
fn specification_of<O: Operation>() -> domain::Operation {
    domain::Operation {
        name: O::TYPE.parse().unwrap_or_else(|error| panic!("{}: {error}", O::TYPE)),
        version: O::VERSION,
        queue: O::QUEUE.parse().unwrap_or_else(|error| panic!("{}: {error}", O::TYPE)),
        parameters: schema::of_parameters::<O::Params>(),
        result: schema::result_schema::<O::Output>(),
        ttl: O::ttl(),
        defaults: O::defaults(),
        maxima: O::maxima(),
        description: O::DESCRIPTION.to_owned(),
        isolation: match O::ISOLATION {
            OperationIsolation::Async => ExecutionIsolation::Async,
            OperationIsolation::Process => ExecutionIsolation::Process,
        },
    }
}
