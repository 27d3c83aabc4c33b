//! The ways in which an operation is started, with its Rust types erased.

use std::pin::Pin;
use std::sync::Arc;

use domain::RawJson;

use crate::http_operation::call::HttpOperation;
use crate::output_format::OutputFormat;
use crate::program::program_operation::ProgramOperation;
use crate::program::supervision::Supervision;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// The future of a running operation.
pub(crate) type OperationFuture = Pin<Box<dyn Future<Output = Result<RawJson, Failure>> + Send>>;

/// Starts an operation with parameters that match its schema.
pub(crate) type OperationStart = Box<dyn Fn(RawJson, Context) -> OperationFuture + Send + Sync>;

/// The marker at the start of a failure's text that says that the parameters are invalid and the operation did not run.
const PARAMETERS_REFUSED: &str = "PARAMETERS_REFUSED";

/// Starts an operation inside this process.
pub(crate) fn start_in_this_process<O: Operation>(operation: O) -> OperationStart {
    let operation = Arc::new(operation);
    Box::new(move |parameters, context| {
        let operation = Arc::clone(&operation);
        Box::pin(async move { run_here(&*operation, &parameters, context).await })
    })
}

/// Runs an operation inside this process.
pub(crate) async fn run_here<O: Operation>(
    operation: &O,
    parameters: &RawJson,
    context: Context,
) -> Result<RawJson, Failure> {
    let params = parameters.read().map_err(|error| invalid_parameters(&error.to_string()))?;
    Ok(RawJson::of(&operation.run(params, context).await?)?)
}

/// Starts a program under a supervisor.
pub(crate) fn start_of_program(program: ProgramOperation, supervision: Arc<Supervision>) -> OperationStart {
    let program = Arc::new(program);
    Box::new(move |parameters, context| {
        let (program, supervision) = (Arc::clone(&program), Arc::clone(&supervision));
        Box::pin(async move { program.run(&supervision, &parameters, &context).await })
    })
}

/// Starts a request.
pub(crate) fn start_of_request(operation: HttpOperation, output: OutputFormat) -> OperationStart {
    let operation = Arc::new(operation);
    Box::new(move |parameters, context| {
        let operation = Arc::clone(&operation);
        Box::pin(async move { operation.call(&parameters, &context, output).await })
    })
}

/// The failure of a task whose parameters do not match.
pub(crate) fn invalid_parameters(cause: &str) -> Failure {
    Failure::new(format!("{PARAMETERS_REFUSED}: {cause}"))
}
