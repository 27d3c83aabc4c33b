//! `GET /api/Operation` and `PUT /api/Operation/{type}`: the catalogue of operations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::{Operation, OperationList};
use store::RegisterError;

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::body::RequestBody;
use crate::api::extract::params::NamePath;
use crate::app::AppState;
use crate::auth::caller::Caller;
use crate::catalogue::compiled_operation::compile_schema;
use crate::error::ApiError;

/// The highest version of an operation: the greatest integer that both databases store.
const MAX_VERSION: u32 = i32::MAX.cast_unsigned();

/// The longest description of an operation, in characters.
const MAX_DESCRIPTION_CHARS: usize = 1000;

/// List the registered operations
///
/// Every type that a task can have, with the JSON Schemas of its parameters and its result.
#[utoipa::path(get, path = "/api/Operation", operation_id = "listOperations", tag = "Operations",
    security(("bearer" = ["User"]), ("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    responses((status = 200, body = OperationList, description = "The operations by type")))]
pub(crate) async fn list(
    State(app): State<Arc<AppState>>,
    _: Caller,
) -> Result<Json<OperationList>, ApiError> {
    app.catalogue.reload(&app.store).await?;
    let operations = app.catalogue.all().values().map(|compiled| compiled.operation.clone()).collect();
    Ok(Json(OperationList { operations }))
}

/// Register an operation
///
/// Workers do this when they start. The highest registered version validates submissions, and a registered version cannot
/// be changed.
#[utoipa::path(put, path = "/api/Operation/{type}", operation_id = "registerOperation", tag = "Operations",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), params(("type" = String, Path, description = "The operation's type")),
    request_body = Operation,
    responses((status = 200, body = Operation, description = "The operation is registered, now or earlier"),
        (status = 400, description = "The body is not JSON"),
        (status = 409, description = "This version is registered with another definition"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn register(
    State(app): State<Arc<AppState>>,
    _: WorkerCaller,
    NamePath(name): NamePath,
    body: RequestBody,
) -> Result<Json<Operation>, ApiError> {
    let operation: Operation = body.parse()?;
    check(&operation, &name)?;
    app.store.register(&operation).await.map_err(|error| match error {
        RegisterError::Conflict { .. } => ApiError::Conflict(error.to_string()),
        RegisterError::Database(error) => error.into(),
    })?;
    app.catalogue.reload(&app.store).await?;
    Ok(Json(operation))
}

fn check(operation: &Operation, path_name: &str) -> Result<(), ApiError> {
    if operation.name.as_str() != path_name {
        let detail = format!("the type in the path is {path_name}");
        return Err(ApiError::invalid("type-differs", "/type", detail));
    }
    if !(1..=MAX_VERSION).contains(&operation.version) {
        return Err(ApiError::invalid("version-out-of-range", "/version", format!("1 to {MAX_VERSION}")));
    }
    if operation.description.chars().count() > MAX_DESCRIPTION_CHARS {
        let rule = format!("a description has at most {MAX_DESCRIPTION_CHARS} characters");
        return Err(ApiError::invalid("description-too-long", "/description", rule));
    }
    if let (Some(default), Some(max)) = (operation.ttl.default, operation.ttl.max)
        && default > max
    {
        let detail = "the default is above the maximum";
        return Err(ApiError::invalid("ttl-bounds-crossed", "/ttl/default", detail));
    }
    for (pointer, schema) in [("/parameters", &operation.parameters), ("/result", &operation.result)] {
        compile_schema(schema).map_err(|error| {
            ApiError::invalid("schema-refused", pointer, format!("not a JSON Schema: {error}"))
        })?;
    }
    Ok(())
}
