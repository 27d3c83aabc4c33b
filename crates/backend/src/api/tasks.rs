//! `/api/Task` and below: a user submits tasks, reads them and their results, cancels them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::{Extension, Json};
use domain::{OwnerId, Reason, Status, Task, TaskId, TaskResult};
use serde::Serialize;
use tokio::time::{Instant, timeout, timeout_at};
use web::json_body::JsonBody;
use web::request_span::RequestTrace;
use web::timeout::RequestDeadline;

use crate::api::extract::authenticated::UserCaller;
use crate::api::extract::params::TaskIdPath;
use crate::api::extract::prefer::Prefer;
use crate::api::task_body::TaskBody;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle;

/// The answer to a submission: the task's id, or the task with `Prefer: return=representation` or `wait=N`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum SubmitTaskResponse {
    /// The task's id.
    Id(TaskId),
    /// The task as it is now.
    Task(Box<Task>),
}

/// Submit a task
///
/// The answer is the task's id, or the task itself with `Prefer: return=representation` or `Prefer: wait=N`. If an accepted
/// task cannot be read within the time limit, the answer is its id, without `Preference-Applied`.
#[utoipa::path(post, path = "/api/Task", operation_id = "submitTask", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    request_body = TaskBody,
    params(("Prefer" = Option<String>, Header, description = "`return=representation`, `wait=N` (seconds, at most 60)"),
        ("traceparent" = Option<String>, Header,
            description = "W3C Trace Context: the spans of the task become part of this trace")),
    responses((status = 201, body = SubmitTaskResponse, description = "The task is accepted and stored durably",
            headers(("Location" = String, description = "The task's path"))),
        (status = 400, description = "The body is not JSON"),
        (status = 413, description = "The body or the parameters are too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place"),
        (status = 429, description = "The caller has as many unfinished tasks as an owner may have")))]
pub(crate) async fn submit(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    Extension(deadline): Extension<RequestDeadline>,
    RequestTrace(trace): RequestTrace,
    prefer: Prefer,
    body: JsonBody<ApiError>,
) -> Result<(StatusCode, HeaderMap, Json<SubmitTaskResponse>), ApiError> {
    let task = TaskBody::parse(&body)?.into_new_task()?;
    let wait_until = prefer.wait.map(|wait| Instant::now() + wait);
    let id = app.submitter.accept(owner, trace, task).await?;
    let location = HeaderValue::from_str(&format!("/api/Task/{id}")).expect("an id is ASCII");
    // The task is accepted. From here on every failure is answered with the id: after an error the caller would submit the
    // task again.
    let task = if prefer.representation || wait_until.is_some() {
        timeout_at(deadline.answer_by(), read_when_ended(&app, owner, id, wait_until))
            .await
            .ok()
            .and_then(Result::ok)
    } else {
        None
    };
    let (mut headers, answer) = match task {
        Some(task) => (prefer.applied(), SubmitTaskResponse::Task(Box::new(task))),
        None => (HeaderMap::new(), SubmitTaskResponse::Id(id)),
    };
    headers.insert(LOCATION, location);
    Ok((StatusCode::CREATED, headers, Json(answer)))
}

/// Read one task
///
/// With `Prefer: wait=N` the answer comes when the task has ended, or after N seconds.
#[utoipa::path(get, path = "/api/Task/{id}", operation_id = "getTask", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(("id" = TaskId, Path, description = "The task"),
        ("Prefer" = Option<String>, Header, description = "`wait=N` (seconds, at most 60)")),
    responses((status = 200, body = Task, description = "The task"),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "The caller has no such task")))]
pub(crate) async fn get(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    TaskIdPath(id): TaskIdPath,
    prefer: Prefer,
) -> Result<(HeaderMap, Json<Task>), ApiError> {
    let wait_until = prefer.wait.map(|wait| Instant::now() + wait);
    let task = read_when_ended(&app, owner, id, wait_until).await?;
    Ok((Prefer { representation: false, ..prefer }.applied(), Json(task)))
}

/// Read the result of a finished task
///
/// A task that is not `FINISHED` has no result: the answer is 404 with the task's status and reason.
#[utoipa::path(get, path = "/api/Task/{id}/result", operation_id = "getTaskResult", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("id" = TaskId, Path, description = "The task")),
    responses((status = 200, body = TaskResult, description = "The result"),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "The caller has no such task, or it has no result")))]
pub(crate) async fn result(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    TaskIdPath(id): TaskIdPath,
) -> Result<Json<TaskResult>, ApiError> {
    let ending = app.store.result(owner, id).await?.ok_or(ApiError::NoTask)?;
    let no_result = ApiError::NoResult { status: ending.status, reason: ending.reason };
    ending.result.map(|result| Json(TaskResult { result })).ok_or(no_result)
}

/// Cancel a task
///
/// Answers 200 if the task is cancelled, by this request or an earlier one: it will never finish. Answers 409 if it had
/// ended in another way.
#[utoipa::path(post, path = "/api/Task/{id}/cancel", operation_id = "cancelTask", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("id" = TaskId, Path, description = "The task")),
    responses((status = 200, body = Task, description = "The cancelled task"),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "The caller has no such task"),
        (status = 409, description = "The task had ended in another way")))]
pub(crate) async fn cancel(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    TaskIdPath(id): TaskIdPath,
) -> Result<Json<Task>, ApiError> {
    lifecycle::cancel::cancel(&app.store, &app.notifier, owner, id).await?;
    let task = app.store.get(owner, id).await?.ok_or(ApiError::NoTask)?;
    match (task.status, task.reason) {
        (Status::Cancelled, Some(Reason::Requested)) => Ok(Json(task)),
        (status, reason) => Err(ApiError::Ended { status, reason }),
    }
}

/// The owner's task: at once, or when it has ended, but not later than `wait_until` and the stop of the service.
async fn read_when_ended(
    app: &AppState,
    owner: OwnerId,
    id: TaskId,
    wait_until: Option<Instant>,
) -> Result<Task, ApiError> {
    let read = async || app.store.get(owner, id).await?.ok_or(ApiError::NoTask);
    let Some(wait_until) = wait_until else { return read().await };
    loop {
        let ended = app.notifier.subscribe_to_end(id);
        let task = read().await?;
        let left = wait_until.saturating_duration_since(Instant::now());
        if task.status.is_final() || left.is_zero() || app.stop.is_cancelled() {
            return Ok(task);
        }
        tracing::trace!(task.id = %id, "a request waits for the end of its task");
        tokio::select! {
            _ = timeout(left.min(app.settings.slow_check), ended) => {}
            () = app.stop.cancelled() => {}
        }
    }
}
