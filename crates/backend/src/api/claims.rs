//! `PATCH /api/Task/request/{id}` and `POST /api/Task/request`: a worker claims tasks.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::limits::{MAX_MIN_AGE_MS, MAX_TASKS_PER_CLAIM};
use domain::problem_types::workers::{
    IDS_OUT_OF_RANGE, MIN_AGE_OUT_OF_RANGE, PULL_OUT_OF_RANGE, TOO_MANY_DECLINED, WAIT_OUT_OF_RANGE,
};
use domain::{
    ClaimId, ClaimRequest, ClaimResponse, ClaimTarget, DeclinedTask, InstallationId, InstanceId, Pull,
    TaskId, WorkerName, WorkerProcess,
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use store::{ClaimById, PullRequest};
use tokio::time::Instant;
use web::json_body::JsonBody;

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::params::{QueryParams, TaskIdPath};
use crate::api::extract::prefer::Prefer;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::claim::{TimedGrant, grants_under_claim};
use crate::lifecycle::worker_name::check_name;
use crate::long_poll::queue::MAX_WAIT;

/// The query of a claim of one task; the spellings of the parameter that older clients use are accepted too.
#[derive(Debug, Deserialize)]
pub(crate) struct ClaimTaskQuery {
    #[serde(rename = "workerName", alias = "WorkerName", alias = "workername")]
    worker: Option<String>,
    #[serde(default = "no_instance")]
    instance: InstanceId,
}

const fn no_instance() -> InstanceId {
    InstanceId::NONE
}

/// The answer to a claim of one task: the worker's name, or the grant with `Prefer: return=representation`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum ClaimTaskResponse {
    /// The name of the worker that may run the task.
    Name(WorkerName),
    /// The grant, with everything that a report needs.
    Grant(ClaimResponse),
}

/// Claim one task by its id
///
/// Answers 200 if the worker may run the task, also when it asks again, and 409 if it may not. With
/// `Prefer: return=representation` the answer is the grant, which contains the claim id that a report needs.
#[utoipa::path(patch, path = "/api/Task/request/{id}", operation_id = "claimTask", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    params(("id" = TaskId, Path, description = "The task"),
        ("workerName" = WorkerName, Query, description = "The worker that claims it"),
        ("instance" = Option<InstanceId>, Query, description = "The worker's process, if it sends heartbeats"),
        ("Prefer" = Option<String>, Header, description = "`return=representation`")),
    responses((status = 200, body = ClaimTaskResponse, description = "The task is granted to this worker"),
        (status = 400, description = "The id is not a UUID, or the worker's name is missing or invalid"),
        (status = 404, description = "No such task"),
        (status = 409, description = "The task is granted to another worker or has ended, or the worker's name is another's")))]
pub(crate) async fn claim_task(
    State(app): State<Arc<AppState>>,
    WorkerCaller { subject, .. }: WorkerCaller,
    TaskIdPath(id): TaskIdPath,
    QueryParams(query): QueryParams<ClaimTaskQuery>,
    prefer: Prefer,
) -> Result<(HeaderMap, Json<ClaimTaskResponse>), ApiError> {
    let arrived = Instant::now();
    // Bytes that are not UTF-8 were replaced by U+FFFD, so two different names could become one.
    let name = query.worker.filter(|name| !name.contains('\u{fffd}'));
    let name = name.ok_or_else(|| ApiError::Malformed("workerName is missing from the query".to_owned()))?;
    let worker: WorkerName =
        name.parse().map_err(|_| ApiError::Malformed(format!("workerName: {}", WorkerName::RULE)))?;
    let process = WorkerProcess { name: worker.clone(), subject, instance: query.instance };
    check_name(&app.store, &process).await?;
    let claim = ClaimById { id, claim: ClaimId::random(), worker: process, by_name: true };
    let Some(granted) = app.claims.execute(claim).await? else {
        if !app.store.exists(id).await? {
            return Err(ApiError::NoTask);
        }
        tracing::info!(target: "audit", { audit.event = "claim_refused", task.id = %id, worker.name = %worker }, "task {id} was not granted to {worker}");
        return Err(ApiError::NotGranted);
    };
    let prefer = Prefer { wait: None, ..prefer };
    let answer = if prefer.representation {
        ClaimTaskResponse::Grant(response(arrived, Duration::ZERO, vec![granted]))
    } else {
        ClaimTaskResponse::Name(worker)
    };
    Ok((prefer.applied(), Json(answer)))
}

/// Claim tasks by their ids or by their types
///
/// A claim by types can wait until tasks are ready (long poll, `waitMs`). A request that is repeated with the same claim id
/// is answered with the grants that still run under that claim.
#[utoipa::path(post, path = "/api/Task/request", operation_id = "claimTasks", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), request_body = ClaimRequest,
    params(("Tasker-Installation" = Option<InstallationId>, Header, description = "The installation for which the request is, as a heartbeat's answer names it")),
    responses((status = 200, body = ClaimResponse, description = "The grants; possibly none"),
        (status = 400, description = "The body is not JSON"),
        (status = 409, description = "Another request with this claim id is in progress, and this one is to be repeated; or the worker's name is another's"),
        (status = 413, description = "The body is too large"),
        (status = 421, description = "The Backend belongs to another installation than the request names"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn claim_tasks(
    State(app): State<Arc<AppState>>,
    WorkerCaller { subject, .. }: WorkerCaller,
    body: JsonBody<ApiError>,
) -> Result<Json<ClaimResponse>, ApiError> {
    let arrived = Instant::now();
    let ClaimRequest { claim, worker, instance, wanted, wait_ms, declined } = body.parse()?;
    let wait = Duration::from_millis(wait_ms);
    if wait > MAX_WAIT {
        let rule = format!("waitMs must be 0 to {} milliseconds", MAX_WAIT.as_millis());
        return Err(ApiError::invalid(&WAIT_OUT_OF_RANGE, "/waitMs", rule));
    }
    let worker = WorkerProcess { name: worker, subject, instance };
    check_name(&app.store, &worker).await?;
    wake_workers_for_declined(&app, &worker.name, &declined)?;
    let (max_held, granted) = match wanted {
        ClaimTarget::Ids(ids) if ids.is_empty() && !declined.is_empty() => (Duration::ZERO, Vec::new()),
        ClaimTarget::Ids(ids) => (Duration::ZERO, claim_by_ids(&app, claim, worker, ids).await?),
        ClaimTarget::Pull(pull) => {
            // At most half of `worker_lost`: the long poll of a host that has failed must end early, since a task that is granted to it
            // is only recovered when the worker is lost.
            let max_held = wait.min(app.settings.worker_lost / 2);
            (max_held, claim_by_types(&app, claim, worker, pull, arrived + max_held).await?)
        }
    };
    Ok(Json(response(arrived, max_held, granted)))
}

/// Wakes the workers that wait for the types of the declined tasks.
fn wake_workers_for_declined(
    app: &AppState,
    worker: &WorkerName,
    declined: &[DeclinedTask],
) -> Result<(), ApiError> {
    if declined.len() > MAX_TASKS_PER_CLAIM {
        let rule = format!("at most {MAX_TASKS_PER_CLAIM} tasks");
        return Err(ApiError::invalid(&TOO_MANY_DECLINED, "/declined", rule));
    }
    if !declined.is_empty() {
        tracing::debug!(worker.name = %worker, tasks = declined.len(), "a worker declined tasks of types that it does not run");
        app.notifier.notify_declined(declined.iter().map(|task| &task.type_name));
    }
    Ok(())
}

async fn claim_by_ids(
    app: &AppState,
    claim: ClaimId,
    worker: WorkerProcess,
    mut ids: Vec<TaskId>,
) -> Result<Vec<TimedGrant>, ApiError> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() || ids.len() > MAX_TASKS_PER_CLAIM {
        let rule = format!("1 to {MAX_TASKS_PER_CLAIM} ids");
        return Err(ApiError::invalid(&IDS_OUT_OF_RANGE, "/wanted/ids", rule));
    }
    let claims = ids.into_iter().map(|id| ClaimById { id, claim, worker: worker.clone(), by_name: false });
    let granted = try_join_all(claims.map(|claim| app.claims.execute(claim))).await?;
    Ok(granted.into_iter().flatten().collect())
}

async fn claim_by_types(
    app: &AppState,
    claim: ClaimId,
    worker: WorkerProcess,
    Pull { types, slots, min_age_ms }: Pull,
    until: Instant,
) -> Result<Vec<TimedGrant>, ApiError> {
    let max_slots = u32::try_from(MAX_TASKS_PER_CLAIM).unwrap_or(u32::MAX);
    if !(1..=MAX_TASKS_PER_CLAIM).contains(&types.len()) || !(1..=max_slots).contains(&slots) {
        let rule = format!("1 to {MAX_TASKS_PER_CLAIM} types, and 1 to {max_slots} slots");
        return Err(ApiError::invalid(&PULL_OUT_OF_RANGE, "/wanted/pull", rule));
    }
    if min_age_ms > MAX_MIN_AGE_MS {
        let rule = format!("0 to {MAX_MIN_AGE_MS} milliseconds");
        return Err(ApiError::invalid(&MIN_AGE_OUT_OF_RANGE, "/wanted/pull/minAgeMs", rule));
    }
    let pull = PullRequest { claim, worker: worker.clone(), slots, is_first_look: true };
    let granted = app.long_poll.wait(pull, types, Duration::from_millis(min_age_ms), until).await?;
    if granted.is_empty() {
        // Another Backend may have served the same claim meanwhile; the worker must not be told that it has nothing.
        return Ok(grants_under_claim(&app.store, &worker, claim).await?);
    }
    Ok(granted)
}

/// The answer to a claim. Grants of several statements share the earliest time at which one was sent, so that no worker
/// computes a deadline that is later than the database's.
fn response(arrived: Instant, max_held: Duration, granted: Vec<TimedGrant>) -> ClaimResponse {
    let sent = granted.iter().map(|granted| granted.sent).min().unwrap_or(arrived);
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(0);
    let held_ms = millis(sent.saturating_duration_since(arrived));
    ClaimResponse {
        held_ms,
        max_held_ms: millis(max_held),
        tasks: granted.into_iter().map(|granted| granted.grant).collect(),
    }
}
