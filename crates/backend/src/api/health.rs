//! `GET /health/live` and `GET /health/ready`: for load balancers and orchestrators.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use broker::Broker;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::AppState;
use crate::error::ApiError;

/// The time limit of the readiness check's query.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

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
/// Requests can be served while the database answers. If Kafka or Identity is down they are served too, and `degraded` says so.
#[utoipa::path(get, path = "/health/ready", operation_id = "checkReadiness", tag = "Health", security(()),
    responses((status = 200, body = Health, description = "Requests can be served"),
        (status = 503, description = "The database does not answer")))]
pub(crate) async fn ready(State(app): State<Arc<AppState>>) -> Result<Json<Health>, ApiError> {
    match timeout(DATABASE_TIMEOUT, app.store.ping()).await {
        Ok(Ok(())) => {
            let mut degraded = app.broker.as_ref().map(Broker::degraded_reasons).unwrap_or_default();
            if !app.token_verifier.revocations().is_current() {
                degraded.push(NO_REVOCATIONS.to_owned());
            }
            Ok(Json(Health { degraded, ..OK }))
        }
        Ok(Err(_)) | Err(_) => Err(ApiError::Unavailable("the database")),
    }
}
