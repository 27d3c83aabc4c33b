//! What may be asked for: the catalogue with its schemas compiled, and the handlers that read and fill it.

pub(crate) mod duplicate_members;

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use axum::Json as Body;
use axum::extract::State;
use database::DatabaseError;
use domain::{Fault, Operation, OperationList, RawJson, TypeName};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;
use store::{RegisterError, Store};
use telemetry::error_chain;

use crate::api::middleware::normalize_path::Name;
use crate::api::middleware::timeout::RequestBody;
use crate::api::task_body::{did_you_mean, pointer};
use crate::app::App;
use crate::auth::token_verifier::{Caller, WorkerCaller};
use crate::catalogue::duplicate_members::NoDuplicateKeys;
use crate::error::ApiError;

/// The highest version: both databases hold it.
const MOST_VERSION: u32 = i32::MAX.cast_unsigned();

/// The most faults of one submission that are told.
const MOST_FAULTS: usize = 20;

/// What is longer than this is told without the value that it quotes.
const LONGEST_FAULT: usize = 300;

/// An operation, ready to check parameters.
#[derive(Debug)]
pub(crate) struct CompiledOperation {
    pub(crate) operation: Operation,
    parameters: Validator,
}

/// The catalogue as this process last read it. Its clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    known: Arc<RwLock<Arc<OperationMap>>>,
}

type OperationMap = BTreeMap<TypeName, Arc<CompiledOperation>>;

impl Catalogue {
    /// Reads what is new in the catalogue. Versions only rise, so a reading that comes late changes nothing; an operation
    /// whose schema does not compile keeps its last good version.
    pub(crate) async fn reload(&self, store: &Store) -> Result<(), DatabaseError> {
        let operations = store.catalogue().await?;
        let before = self.all();
        let newer = operations.into_iter().filter(|operation| is_newer(&before, operation));
        let compiled: Vec<CompiledOperation> = newer.filter_map(CompiledOperation::compile_or_log).collect();
        if compiled.is_empty() {
            return Ok(());
        }
        let mut known = self.known.write().expect("no panic while it is held");
        let mut all = BTreeMap::clone(&known);
        for operation in compiled {
            if is_newer(&all, &operation.operation) {
                all.insert(operation.operation.name.clone(), Arc::new(operation));
            }
        }
        *known = Arc::new(all);
        Ok(())
    }

    pub(crate) fn all(&self) -> Arc<OperationMap> {
        self.known.read().expect("no panic while it is held").clone()
    }

    /// The operation `name`; one that another backend has just registered is looked for in the store.
    pub(crate) async fn find(&self, name: &str, store: &Store) -> Result<Arc<CompiledOperation>, ApiError> {
        let rule = |_| ApiError::invalid("type-malformed", "/type", TypeName::RULE);
        let name: TypeName = name.parse().map_err(rule)?;
        if let Some(known) = self.all().get(&name) {
            return Ok(known.clone());
        }
        self.reload(store).await?;
        let all = self.all();
        all.get(&name).cloned().ok_or_else(|| {
            let names: Vec<&str> = all.keys().map(TypeName::as_str).collect();
            let hint = did_you_mean(name.as_str(), names.iter().copied());
            let known = names.join(", ");
            ApiError::invalid(
                "unknown-type",
                "/type",
                format!("there is no type {name} (known: {known}){hint}"),
            )
        })
    }
}

fn is_newer(known: &OperationMap, operation: &Operation) -> bool {
    known.get(&operation.name).is_none_or(|known| known.operation.version < operation.version)
}

impl CompiledOperation {
    fn compile_or_log(operation: Operation) -> Option<Self> {
        match compile(&operation.parameters) {
            Ok(parameters) => Some(Self { operation, parameters }),
            Err(error) => {
                tracing::error!(error = %error_chain(&error), "the schema of {} does not compile", operation.name);
                None
            }
        }
    }

    /// Checks parameters against the schema; absent, `null` and `{}` are the same here.
    pub(crate) fn check(&self, parameters: Option<&RawJson>) -> Result<(), ApiError> {
        let value = match parameters.filter(|json| !json.is_null()) {
            None => Value::Object(serde_json::Map::new()),
            Some(json) => json.read::<NoDuplicateKeys>().and_then(|_| json.read()).map_err(|error| {
                ApiError::invalid(
                    "parameters-unreadable",
                    "/parameters",
                    format!("parameters cannot be read: {error}"),
                )
            })?,
        };
        let faults: Vec<Fault> = self
            .parameters
            .iter_errors(&value)
            .flat_map(|error| self.faults(&error))
            .take(MOST_FAULTS)
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(ApiError::Invalid { slug: "parameters-refused", faults }) }
    }

    fn faults(&self, error: &ValidationError<'_>) -> Vec<Fault> {
        let place = format!("/parameters{}", error.instance_path());
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                // `…/additionalProperties` stands beside `…/properties`.
                let keyword = error.schema_path().to_string();
                let beside = keyword.rsplit_once('/').map_or("", |(beside, _)| beside);
                let declared = self.operation.parameters.pointer(&format!("{beside}/properties"));
                let names: Vec<&str> = declared
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| &**name)
                    .collect();
                unexpected.iter().map(|name| unknown_parameter(&place, name, &names)).collect()
            }
            _ => {
                let detail = Some(error.to_string()).filter(|detail| detail.len() <= LONGEST_FAULT);
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

/// Patterns run in linear time: a schema is somebody else's code.
fn compile(schema: &Value) -> Result<Validator, ValidationError<'static>> {
    jsonschema::options().with_pattern_options(PatternOptions::regex()).build(schema)
}

/// Every type that a task may name, with the JSON Schemas of its parameters and result.
#[utoipa::path(get, path = "/api/Operation", tag = "Operation", security(("bearer" = [])),
    responses((status = 200, body = OperationList)))]
pub(crate) async fn list(State(app): State<App>, _: Caller) -> Result<Body<OperationList>, ApiError> {
    app.catalogue.reload(&app.store).await?;
    let operations = app.catalogue.all().values().map(|known| known.operation.clone()).collect();
    Ok(Body(OperationList { operations }))
}

/// Registers an operation for good (a worker does this when it starts). The highest version counts; a registered version
/// never changes.
#[utoipa::path(put, path = "/api/Operation/{type}", tag = "Service", security(("bearer" = [])),
    params(("type" = String, Path, description = "The operation's name")), request_body = Operation,
    responses((status = 200, body = Operation, description = "It is registered, now or before"),
        (status = 400, description = "The body is not JSON"),
        (status = 409, description = "This version is registered with another definition"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "A rule is broken; `errors` says which and where")))]
pub(crate) async fn register(
    State(app): State<App>,
    _: WorkerCaller,
    Name(name): Name,
    RequestBody(body): RequestBody,
) -> Result<Body<Operation>, ApiError> {
    let operation: Operation = crate::api::task_body::read(&body)?;
    if operation.name.as_str() != name {
        return Err(ApiError::invalid("type-differs", "/type", format!("the address says {name}")));
    }
    if !(1..=MOST_VERSION).contains(&operation.version) {
        return Err(ApiError::invalid("version-out-of-range", "/version", format!("1 to {MOST_VERSION}")));
    }
    if let (Some(default), Some(max)) = (operation.ttl.default, operation.ttl.max)
        && default > max
    {
        return Err(ApiError::invalid(
            "ttl-bounds-crossed",
            "/ttl/default",
            "the default is above the maximum",
        ));
    }
    for (pointer, schema) in [("/parameters", &operation.parameters), ("/result", &operation.result)] {
        compile(schema).map_err(|error| {
            ApiError::invalid("schema-refused", pointer, format!("not a JSON Schema: {error}"))
        })?;
    }
    app.store.register(&operation).await.map_err(|error| match error {
        RegisterError::Conflict { .. } => ApiError::Conflict(error.to_string()),
        RegisterError::Database(error) => error.into(),
    })?;
    app.catalogue.reload(&app.store).await?;
    Ok(Body(operation))
}
