//! `GET /api/Worker` and `POST /api/Worker/heartbeat`: the live workers.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use domain::limits::{MAX_RUNNING_PER_HEARTBEAT, MAX_SLOTS, MAX_TYPES_PER_WORKER};
use domain::problem_types::workers::{
    SLOTS_OUT_OF_RANGE, TOO_MANY_RUNNING, TOO_MANY_TYPES, WAIT_OUT_OF_RANGE,
};
use domain::{Heartbeat, HeartbeatResponse, InstallationId, WorkerList, WorkerProcess};
use tokio::time::Instant;

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::budgeted_body::BudgetedBody;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::stopped_grants::grants_to_stop;
use crate::lifecycle::worker_name;

/// The longest that a heartbeat is held.
pub(crate) const MAX_HELD: Duration = Duration::from_secs(30);

/// List the live workers
///
/// Every worker that is not lost, that is, whose heartbeats have not stopped, with its slots and the types that it runs.
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
/// The answer lists the tasks that the worker must stop. The first heartbeat takes the worker's name: from then on it is
/// refused to every other process, until this one has said that a heartbeat is its `last` or has sent none for some time.
/// In the latter case its tasks are cancelled. Tasks of an earlier process of this name are cancelled, too.
///
/// A heartbeat with `waitMs` is answered when the worker must stop a task, or when that time is over.
#[utoipa::path(post, path = "/api/Worker/heartbeat", operation_id = "sendHeartbeat", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), request_body = Heartbeat,
    params(("Tasker-Installation" = Option<InstallationId>, Header, description = "The installation for which the request is, as a heartbeat's answer names it")),
    responses((status = 200, body = HeartbeatResponse, description = "The tasks that must stop"),
        (status = 400, description = "The body is not JSON"),
        (status = 409, description = "The worker's name belongs to another process, account or client"),
        (status = 413, description = "The body is too large"),
        (status = 421, description = "The Backend belongs to another installation than the request names"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place"),
        (status = 429, description = "1000 workers of the account or client are running")))]
pub(crate) async fn heartbeat(
    State(app): State<Arc<AppState>>,
    WorkerCaller { subject, valid_until, .. }: WorkerCaller,
    BudgetedBody(body, reserved): BudgetedBody,
) -> Result<Json<HeartbeatResponse>, ApiError> {
    let arrived = Instant::now();
    let heartbeat: Heartbeat = body.parse()?;
    check(&heartbeat)?;
    let process = WorkerProcess { name: heartbeat.worker.clone(), subject, instance: heartbeat.instance };
    worker_name::heartbeat(&app.store, &app.notifier, &process, &heartbeat).await?;
    let Heartbeat { running, stopped, last, wait_ms, .. } = heartbeat;
    if !stopped.is_empty() {
        app.store.record_stops(&process, &stopped).await?;
        drop(stopped);
    }
    // A heartbeat that is held keeps no body: there may be one of each worker.
    drop((body, reserved));
    let until = (wait_ms > 0 && !last).then(|| valid_until.min(arrived + Duration::from_millis(wait_ms)));
    let stop = grants_to_stop(&app.store, &app.notifier, &process, running, until, &app.stop).await?;
    if last {
        app.store.unregister(&process).await?;
    }
    Ok(Json(HeartbeatResponse { stop, installation: app.installation }))
}

fn check(Heartbeat { slots, types, running, stopped, wait_ms, .. }: &Heartbeat) -> Result<(), ApiError> {
    if *slots > MAX_SLOTS {
        return Err(ApiError::invalid(
            &SLOTS_OUT_OF_RANGE,
            "/slots",
            format!("slots must be 0 to {MAX_SLOTS}"),
        ));
    }
    if types.len() > MAX_TYPES_PER_WORKER {
        let rule = format!("at most {MAX_TYPES_PER_WORKER} types");
        return Err(ApiError::invalid(&TOO_MANY_TYPES, "/types", rule));
    }
    if running.len() > MAX_RUNNING_PER_HEARTBEAT {
        let rule = format!("at most {MAX_RUNNING_PER_HEARTBEAT} tasks");
        return Err(ApiError::invalid(&TOO_MANY_RUNNING, "/running", rule));
    }
    if stopped.len() > MAX_RUNNING_PER_HEARTBEAT {
        let rule = format!("at most {MAX_RUNNING_PER_HEARTBEAT} tasks");
        return Err(ApiError::invalid(&TOO_MANY_RUNNING, "/stopped", rule));
    }
    if Duration::from_millis(*wait_ms) > MAX_HELD {
        let rule = format!("waitMs must be 0 to {} milliseconds", MAX_HELD.as_millis());
        return Err(ApiError::invalid(&WAIT_OUT_OF_RANGE, "/waitMs", rule));
    }
    Ok(())
}
