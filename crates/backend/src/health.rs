//! Whether the service lives, and whether it can serve.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;

/// A database that takes longer than this does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer of a service that is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: a service that is not well answers 503.
    status: &'static str,
}

const OK: Json<Health> = Json(Health { status: "ok" });

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "Health", responses((status = 200, body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    OK
}

/// The database answers, so requests can be served.
#[utoipa::path(get, path = "/health/ready", tag = "Health",
    responses((status = 200, body = Health), (status = 503, description = "The database does not answer")))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    match timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => Ok(OK),
        Ok(Err(_)) | Err(_) => Err(ApiError::Away("the database")),
    }
}
