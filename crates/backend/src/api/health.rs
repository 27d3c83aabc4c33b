//! Whether the service lives, and whether it can serve.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use broker::Broker;
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
    /// What does not work at the moment, though requests are served: tasks wait a little longer, and none is lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

const OK: Health = Health { status: "ok", degraded: Vec::new() };

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "Health", responses((status = 200, body = Health)))]
pub(crate) async fn live() -> Json<Health> {
    Json(OK)
}

/// The database answers, so requests can be served. Without Kafka they are served too; `degraded` says that it is away.
#[utoipa::path(get, path = "/health/ready", tag = "Health",
    responses((status = 200, body = Health), (status = 503, description = "The database does not answer")))]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, ApiError> {
    match timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => {
            let degraded = app.broker.as_ref().map(Broker::degraded_reasons).unwrap_or_default();
            Ok(Json(Health { degraded, ..OK }))
        }
        Ok(Err(_)) | Err(_) => Err(ApiError::Unavailable("the database")),
    }
}
