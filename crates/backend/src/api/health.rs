//! `GET /health/live` and `GET /health/ready`: for load balancers and orchestrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use broker::Broker;
use serde::Serialize;
use telemetry::error_chain;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::ApiError;

/// The answer of a healthy service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: an unhealthy service answers 503.
    status: &'static str,
    /// What does not work at the moment although requests are served. Tasks may start later, and none is lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

/// Why readiness is degraded while Identity's list of revoked tokens cannot be fetched.
const NO_REVOCATIONS: &str = "the list of revoked tokens cannot be fetched from Identity: tokens that are revoked meanwhile are accepted";

const OK: Health = Health { status: "ok", degraded: Vec::new() };

/// Check that the process runs
///
/// Says nothing about the database and Kafka: a process that answers need not be restarted.
#[utoipa::path(get, path = "/health/live", operation_id = "checkLiveness", tag = "Health", security(()),
    responses((status = 200, body = Health, description = "The process runs")))]
pub(crate) async fn live() -> Json<Health> {
    Json(OK)
}

/// Check that requests can be served
///
/// Requests can be served while the database accepts writes and the signing keys of Identity are known. If Kafka or Identity is
/// down they are served too, and `degraded` says so.
#[utoipa::path(get, path = "/health/ready", operation_id = "checkReadiness", tag = "Health", security(()),
    responses((status = 200, body = Health, description = "Requests can be served"),
        (status = 503, description = "A part that requests need is missing; `detail` names the part and the cause")))]
pub(crate) async fn ready(State(app): State<Arc<AppState>>) -> Result<Json<Health>, ApiError> {
    let jwks = app.token_verifier.jwks();
    let (database, no_keys) = tokio::join!(app.store.check_writes(), jwks.reason_for_no_keys());
    let mut missing = Vec::new();
    if let Err(error) = database {
        let why = error.unavailable_cause().map_or_else(|| error_chain(&*error), |why| why.to_string());
        missing.push(format!("database of tasks: {why}"));
    }
    if let Some(why) = no_keys {
        missing.push(format!("keys of Identity: {why}"));
    }
    if !missing.is_empty() {
        return Err(ApiError::NotReady(missing));
    }
    let mut degraded = app.broker.as_ref().map(Broker::degraded_reasons).unwrap_or_default();
    if !app.token_verifier.revocations().is_current() {
        degraded.push(NO_REVOCATIONS.to_owned());
    }
    Ok(Json(Health { degraded, ..OK }))
}
