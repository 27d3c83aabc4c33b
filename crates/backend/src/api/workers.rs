//! `GET /api/Worker` and `POST /api/Worker/heartbeat`: the live workers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::{Heartbeat, HeartbeatResponse, WorkerList};

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::body::RequestBody;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::worker_lost::end_tasks_of_restarted_worker;

/// List the live workers
///
/// Every worker that has sent a heartbeat lately, with its slots and the types that it runs.
#[utoipa::path(get, path = "/api/Worker", operation_id = "listWorkers", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    responses((status = 200, body = WorkerList, description = "The workers by name")))]
pub(crate) async fn list(
    State(app): State<Arc<AppState>>,
    _: WorkerCaller,
) -> Result<Json<WorkerList>, ApiError> {
    Ok(Json(WorkerList { workers: app.store.workers().await? }))
}

/// Send a heartbeat
///
/// The answer lists the tasks that the worker must stop. If a worker that has sent heartbeats sends none for some time, its
/// tasks are cancelled; likewise when it has restarted and says so with `first`.
#[utoipa::path(post, path = "/api/Worker/heartbeat", operation_id = "sendHeartbeat", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), request_body = Heartbeat,
    responses((status = 200, body = HeartbeatResponse, description = "The tasks that must stop"),
        (status = 400, description = "The body is not JSON"), (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn heartbeat(
    State(app): State<Arc<AppState>>,
    _: WorkerCaller,
    body: RequestBody,
) -> Result<Json<HeartbeatResponse>, ApiError> {
    let heartbeat: Heartbeat = body.parse()?;
    if i32::try_from(heartbeat.slots).is_err() {
        return Err(ApiError::invalid("slots-out-of-range", "/slots", format!("slots is 0 to {}", i32::MAX)));
    }
    // Before the heartbeat is stored: what runs under this name now was granted to an earlier process.
    if heartbeat.first {
        end_tasks_of_restarted_worker(&app.store, &app.notifier, &heartbeat.worker).await?;
    }
    Ok(Json(HeartbeatResponse { stop: app.store.heartbeat(&heartbeat).await? }))
}
