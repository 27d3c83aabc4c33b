//! `GET /api/Operation`, and `PUT` and `DELETE /api/Operation/{type}`: the catalogue of operations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use domain::limits::MAX_SCHEMA_BYTES;
use domain::problem_types::operations::{
    DESCRIPTION_TOO_LONG, SCHEMA_REFUSED, SCHEMAS_TOO_LARGE, TTL_BOUNDS_CROSSED, TYPE_DIFFERS,
    VERSION_OUT_OF_RANGE,
};
use domain::{Operation, OperationList, RawJson, TypeName};
use json_schema::JsonSchema;
use serde::Deserialize;
use store::{RegisterError, Registered, RemoveError};
use web::json_body::JsonBody;

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::params::{NamePath, QueryParams};
use crate::app::AppState;
use crate::auth::caller::Caller;
use crate::catalogue::compiled_operation::on_own_thread;
use crate::catalogue::duplicate_members::NoDuplicateMembers;
use crate::error::ApiError;

/// The highest version of an operation: the greatest integer that both databases store.
const MAX_VERSION: u32 = i32::MAX.cast_unsigned();

/// The largest body of a registration, in bytes.
pub(crate) const REGISTRATION_BODY_LIMIT: usize = MAX_SCHEMA_BYTES + 64 * 1024;

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
/// be changed. A type belongs to the account or client that registers it first: new versions by others need the role Admin,
/// as do those of the types that come with Tasker. An account or client may have 1000 types, 20 queues and 4 MiB of definitions; a type may
/// have 100 versions.
#[utoipa::path(put, path = "/api/Operation/{type}", operation_id = "registerOperation", tag = "Operations",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), params(("type" = String, Path, description = "The operation's type", example = "REVERSE")),
    request_body = Operation,
    responses((status = 200, body = Operation, description = "The operation is registered, now or earlier"),
        (status = 400, description = "The body is not JSON"),
        (status = 409, description = "This version is registered with another definition, or the account, the client or the type has as many types, queues or versions as it may have"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn register(
    State(app): State<Arc<AppState>>,
    caller: WorkerCaller,
    NamePath(name): NamePath,
    body: JsonBody<ApiError>,
) -> Result<Json<Operation>, ApiError> {
    let operation: Operation = body.parse()?;
    check_texts(&body.parse()?)?;
    check(&operation, &name)?;
    if app.catalogue.all().get(&operation.name).is_none_or(|cached| cached.operation != operation) {
        check_schemas(&operation).await?;
    }
    if app.store.register(&operation, caller.registrant()).await? == Registered::New {
        let (subject, version) = (caller.subject, operation.version);
        tracing::info!(target: "audit", { audit.event = "operation_registered", task.type = %operation.name, operation.version = version, account.id = %subject }, "{subject} registered version {version} of {}", operation.name);
        app.catalogue.reload(&app.store).await?;
    } else if app
        .catalogue
        .all()
        .get(&operation.name)
        .is_none_or(|cached| cached.operation.version < operation.version)
    {
        // Another Backend has registered it a moment ago.
        app.catalogue.reload(&app.store).await?;
    }
    Ok(Json(operation))
}

/// The schemas of an operation as they were sent. Other members are read by [`Operation`].
#[derive(Debug, Deserialize)]
struct SchemaTexts {
    parameters: RawJson,
    result: RawJson,
}

/// The query of a removal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveOperationQuery {
    version: Option<u32>,
}

/// Remove an operation
///
/// Without `version` all versions are removed. It needs the role Admin; the account or client to which the type belongs may
/// remove it while no task of the type waits for a worker. Submissions of a removed type are refused. Tasks that were accepted
/// before are granted and end as usual; if no worker runs the type any more, they end as `NOT_STARTED` in time. A worker that
/// starts registers its operations again, and a removed type then belongs to that worker's account or client.
#[utoipa::path(delete, path = "/api/Operation/{type}", operation_id = "removeOperation", tag = "Operations",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    params(("type" = String, Path, description = "The operation's type", example = "REVERSE"),
        ("version" = Option<u32>, Query, description = "The version to remove", example = 1)),
    responses((status = 204, description = "The operation is removed"),
        (status = 400, description = "The version is not a number"),
        (status = 404, description = "There is no such operation, or it has no such version"),
        (status = 409, description = "Tasks of this type wait for a worker")))]
pub(crate) async fn remove(
    State(app): State<Arc<AppState>>,
    caller: WorkerCaller,
    NamePath(name): NamePath,
    QueryParams(RemoveOperationQuery { version }): QueryParams<RemoveOperationQuery>,
) -> Result<StatusCode, ApiError> {
    let name: TypeName = name.parse().map_err(|_| ApiError::NoOperation)?;
    app.store.remove_operation(&name, version, caller.registrant()).await?;
    let subject = caller.subject;
    let what = version.map_or_else(String::new, |version| format!("version {version} of "));
    tracing::info!(target: "audit", { audit.event = "operation_removed", task.type = %name, operation.version = version, account.id = %subject }, "{subject} removed {what}{name}");
    app.catalogue.reload(&app.store).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Conflict { .. } => Self::Conflict(error.to_string()),
            RegisterError::Foreign(_) => Self::ForeignOperation(error.to_string()),
            RegisterError::TooMany(_) => Self::TooManyOperations(error.to_string()),
            RegisterError::Database(error) => error.into(),
        }
    }
}

impl From<RemoveError> for ApiError {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Unknown => Self::NoOperation,
            RemoveError::Foreign => Self::ForeignOperation(error.to_string()),
            RemoveError::Awaited => Self::OperationAwaited(error.to_string()),
            RemoveError::Database(error) => error.into(),
        }
    }
}

fn check(operation: &Operation, path_name: &str) -> Result<(), ApiError> {
    if operation.name.as_str() != path_name {
        let detail = format!("the type in the path is {path_name}");
        return Err(ApiError::invalid(&TYPE_DIFFERS, "/type", detail));
    }
    if !(1..=MAX_VERSION).contains(&operation.version) {
        return Err(ApiError::invalid(&VERSION_OUT_OF_RANGE, "/version", format!("1 to {MAX_VERSION}")));
    }
    if operation.description.chars().count() > MAX_DESCRIPTION_CHARS {
        let rule = format!("a description must have at most {MAX_DESCRIPTION_CHARS} characters");
        return Err(ApiError::invalid(&DESCRIPTION_TOO_LONG, "/description", rule));
    }
    if let (Some(default), Some(max)) = (operation.ttl.default, operation.ttl.max)
        && default > max
    {
        let detail = "the default is above the maximum";
        return Err(ApiError::invalid(&TTL_BOUNDS_CROSSED, "/ttl/default", detail));
    }
    Ok(())
}

/// Compiles both schemas, on a thread of their own.
async fn check_schemas(operation: &Operation) -> Result<(), ApiError> {
    for (pointer, schema) in [("/parameters", &operation.parameters), ("/result", &operation.result)] {
        let schema = schema.clone();
        on_own_thread(move || JsonSchema::compile(&schema)).await.map_err(|error| {
            let detail = format!("not a JSON Schema that is supported: {error}");
            ApiError::invalid(&SCHEMA_REFUSED, pointer, detail)
        })?;
    }
    Ok(())
}

/// Checks what the text of the schemas says and their values do not: the size, and members that an object has twice.
fn check_texts(SchemaTexts { parameters, result }: &SchemaTexts) -> Result<(), ApiError> {
    let bytes = parameters.text().len() + result.text().len();
    if bytes > MAX_SCHEMA_BYTES {
        let pointer = if parameters.text().len() > result.text().len() { "/parameters" } else { "/result" };
        let rule =
            format!("both schemas have {bytes} bytes together; at most {MAX_SCHEMA_BYTES} are allowed");
        return Err(ApiError::invalid(&SCHEMAS_TOO_LARGE, pointer, rule));
    }
    for (pointer, schema) in [("/parameters", parameters), ("/result", result)] {
        schema.read::<NoDuplicateMembers>().map_err(|error| {
            ApiError::invalid(&SCHEMA_REFUSED, pointer, format!("the schema cannot be read: {error}"))
        })?;
    }
    Ok(())
}
