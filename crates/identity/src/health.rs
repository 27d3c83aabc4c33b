//! Health checks: whether the process runs, and whether it can serve requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use telemetry::error_chain;

use crate::app::App;
use crate::error::ServiceFailure;

/// The answer of a healthy service.
#[derive(Debug, Serialize)]
pub(crate) struct Health {
    /// Always `ok`: an unhealthy service answers 503.
    status: &'static str,
}

/// `GET /health/live`: 200 while the process answers requests.
pub(crate) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// `GET /health/ready`: 200 if the database accepts writes, else 503 with a problem document that names the cause.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.write_check.run().await {
        Ok(()) => Json(Health { status: "ok" }).into_response(),
        Err(error) => {
            let why = error.unavailability().map_or_else(|| error_chain(&*error), |why| why.to_string());
            ServiceFailure::NotReady(why).problem_response()
        }
    }
}
