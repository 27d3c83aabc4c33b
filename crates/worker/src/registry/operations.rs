//! The registry of a worker's operations, found by type.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::limits::refused_result;
use domain::{ExecutionIsolation, RawJson, TypeName};
use json_schema::JsonSchema;
use serde_json::Value;
use supervisor::{MeansPreference, SupervisorProgram};

use crate::declared::declared_operation::{DeclaredOperation, DeclaredRun};
use crate::http_operation::call::HttpOperation;
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
    registered: BTreeMap<TypeName, RegisteredOperation>,
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

/// Why a worker cannot have an operation that is declared.
#[derive(Debug, thiserror::Error)]
pub enum RefusedDeclaration {
    /// The type is registered already.
    #[error("operation {0} is declared, but the worker has an operation of this type already")]
    TypeTaken(TypeName),
    /// What its request is made of cannot be used.
    #[error("operation {name}: {cause}")]
    Http {
        /// The type.
        name: TypeName,
        /// The key and the rule.
        cause: String,
    },
}

impl Operations {
    /// No operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same operations, none yet, whose programs run under supervisors that are processes of `program` and use the means of
    /// `preference`. Without this it is the program of this process and all means.
    #[must_use]
    pub fn supervised_by(self, program: SupervisorProgram, preference: MeansPreference) -> Self {
        Self { supervision: Arc::new(Supervision::new(program, preference)), ..self }
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
        let duplicate = self.registered.insert(name, registered);
        assert!(duplicate.is_none(), "{} is registered twice", O::TYPE);
        self
    }

    /// Adds operations that settings declare. Fails if the type of one is registered
    /// already, or if a file that a header is read from cannot be read.
    pub fn with_declared(mut self, declared: Vec<DeclaredOperation>) -> Result<Self, RefusedDeclaration> {
        for operation in declared {
            let name = operation.specification.name.clone();
            if self.registered.contains_key(&name) {
                return Err(RefusedDeclaration::TypeTaken(name));
            }
            let registered = RegisteredOperation::declared(operation, Arc::clone(&self.supervision))?;
            self.registered.insert(name, registered);
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

    /// The operation that runs tasks of the type `name`.
    pub(crate) fn find(&self, name: &TypeName) -> Option<&RegisteredOperation> {
        self.registered.get(name)
    }

    /// The longest time between SIGTERM and SIGKILL of an operation that runs processes.
    pub(crate) fn longest_grace(&self) -> Duration {
        let supervised = self.registered.values().filter(|registered| registered.is_supervised());
        supervised.map(RegisteredOperation::grace).max().unwrap_or_default()
    }

    /// Finds out by what means programs can be killed, if any operation runs one.
    pub(crate) fn prepare_supervision(&self) {
        if self.specifications().any(|operation| operation.isolation.is_supervised()) {
            self.supervision.means();
        }
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

    /// The operation of a declaration. Fails if a file of a header cannot be read.
    fn declared(
        declared: DeclaredOperation,
        supervision: Arc<Supervision>,
    ) -> Result<Self, RefusedDeclaration> {
        let DeclaredOperation { specification, run } = declared;
        let compile =
            |schema| JsonSchema::compile(schema).expect("the schemas of a declaration were compiled before");
        let (parameters, result) = (compile(&specification.parameters), compile(&specification.result));
        let (start, grace) = match run {
            DeclaredRun::Exec(settings) => {
                let program = ProgramOperation::from(settings);
                let grace = program.grace();
                (start_of_program(program, supervision), grace)
            }
            DeclaredRun::Http(settings, directory, output) => {
                let refused = |cause| RefusedDeclaration::Http { name: specification.name.clone(), cause };
                let operation = HttpOperation::new(&settings, &directory).map_err(refused)?;
                (start_of_request(operation, output), Duration::ZERO)
            }
        };
        Ok(Self { specification, parameters, result: Arc::new(result), start, start_here: None, grace })
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
