//! Health checks: whether the process runs, and whether it can serve requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::error_chain;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ServiceFailure;

/// The answer of a healthy service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: an unhealthy service answers 503.
    status: &'static str,
}

/// Check that the process runs
///
/// Says nothing about the database: a process that answers need not be restarted.
#[utoipa::path(get, path = "/health/live", operation_id = "checkLiveness", tag = "Health", security(()),
    responses((status = 200, body = Health, description = "The process runs")))]
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Check that requests can be served
///
/// Requests can be served while the database accepts writes.
#[utoipa::path(get, path = "/health/ready", operation_id = "checkReadiness", tag = "Health", security(()),
    responses((status = 200, body = Health, description = "Requests can be served"),
        (status = 503, description = "The database does not accept writes; `detail` names the cause")))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.write_check.run().await {
        Ok(()) => Json(Health { status: "ok" }).into_response(),
        Err(error) => {
            let why = error.unavailable_cause().map_or_else(|| error_chain(&*error), |why| why.to_string());
            ServiceFailure::NotReady(why).problem_response()
        }
    }
}
