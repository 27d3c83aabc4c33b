//! `/api/Task` and below: a user submits tasks, reads them and their results, cancels them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use domain::{Reason, Status, Task, TaskAttemptList, TaskId, TaskResult};
use tokio::time::Instant;
use web::json_body::JsonBody;
use web::request_span::RequestTrace;

use crate::api::entity_tag::{KnownTags, TaggedTask};
use crate::api::extract::authenticated::UserCaller;
use crate::api::extract::idempotency_key::OptionalIdempotencyKey;
use crate::api::extract::params::TaskIdPath;
use crate::api::extract::prefer::Prefer;
use crate::api::submission_answer::{self, SubmissionAnswer, SubmitTaskResponse, WantedAnswer};
use crate::api::task_body::TaskBody;
use crate::api::waiting_read::{read_when, read_when_ended};
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle;

/// Submit a task
///
/// The answer is the task's id, or the task itself with `Prefer: return=representation` or `Prefer: wait=N`. If an accepted
/// task cannot be read within the time limit, the answer is its id, without `Preference-Applied`.
///
/// With an `Idempotency-Key` the request may be repeated, for at least 24 hours: the same body under the same key is answered with
/// the same task, which is made once.
#[utoipa::path(post, path = "/api/Task", operation_id = "submitTask", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    request_body = TaskBody,
    params(("Prefer" = Option<String>, Header, description = "`return=representation`, `wait=N` (seconds, at most 60)"),
        ("Idempotency-Key" = Option<String>, Header,
            description = "A key of your own for this request, 1 to 255 printable ASCII characters, such as a UUID: a string in quotes (RFC 9651), or without quotes"),
        ("traceparent" = Option<String>, Header,
            description = "W3C Trace Context: the spans of the task become part of this trace")),
    responses((status = 201, body = SubmitTaskResponse, description = "The task is accepted and stored durably",
            headers(("Location" = String, description = "The task's path"),
                ("Idempotent-Replayed" = String, description = "`true`: an earlier request with this key made the task"))),
        (status = 400, description = "The body is not JSON, or the key is malformed"),
        (status = 409, description = "A request with this key is being processed; repeat the request after `Retry-After`",
            headers(("Retry-After" = u32, description = "After how many seconds to try again"))),
        (status = 413, description = "The body or the parameters are too large"),
        (status = 422, description = "The request is invalid, and `errors` lists each fault and its place; or the key was used for another request"),
        (status = 429, description = "The caller has as many unfinished tasks as an owner may have")))]
pub(crate) async fn submit(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    RequestTrace(trace): RequestTrace,
    wanted: WantedAnswer,
    key: OptionalIdempotencyKey,
    body: JsonBody<ApiError>,
) -> Result<SubmissionAnswer, ApiError> {
    let key = key.of_request(owner, "/api/Task", body.bytes());
    let task = TaskBody::parse(&body)?.into_new_task()?;
    let accepted = app.submitter.accept(owner, trace, task, key).await?;
    submission_answer::answer(&app, owner, wanted, &accepted).await
}

/// Read one task
///
/// With `Prefer: wait=N` the answer comes when the task has ended, or after N seconds. With `If-None-Match` too, it comes as soon as
/// the task is not as the tag says any more: at once if it ended, else within a second.
#[utoipa::path(get, path = "/api/Task/{id}", operation_id = "getTask", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(("id" = TaskId, Path, description = "The task"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of an earlier answer: if the task is as it was then, the answer is 304"),
        ("Prefer" = Option<String>, Header, description = "`wait=N` (seconds, at most 60)")),
    responses((status = 200, body = Task, description = "The task",
            headers(("ETag" = String, description = "A weak tag of the task as it is"),
                ("Preference-Applied" = String, description = "The preferences that were honoured"))),
        (status = 304, description = "The task is as the tag in `If-None-Match` says",
            headers(("ETag" = String, description = "The tag"),
                ("Preference-Applied" = String, description = "The preferences that were honoured"))),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "The caller has no such task")))]
pub(crate) async fn get(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    TaskIdPath(id): TaskIdPath,
    prefer: Prefer,
    known: KnownTags,
) -> Result<Response, ApiError> {
    let wait_until = prefer.wait.map(|wait| Instant::now() + wait);
    let task =
        read_when(&app, owner, id, wait_until, |task| TaggedTask::new(task).ends_wait_of(&known)).await?;
    Ok(TaggedTask::new(&task).answer(&known, Prefer { representation: false, ..prefer }.applied()))
}

/// Read the result of a finished task
///
/// A task that is not `FINISHED` has no result: the answer is 404 with the task's status and reason. With `Prefer: wait=N` the answer
/// comes when the task has ended, or after N seconds.
#[utoipa::path(get, path = "/api/Task/{id}/result", operation_id = "getTaskResult", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("id" = TaskId, Path, description = "The task"),
        ("Prefer" = Option<String>, Header, description = "`wait=N` (seconds, at most 60)")),
    responses((status = 200, body = TaskResult, description = "The result",
            headers(("Preference-Applied" = String, description = "The preferences that were honoured"))),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "The caller has no such task, or it has no result")))]
pub(crate) async fn result(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    TaskIdPath(id): TaskIdPath,
    prefer: Prefer,
) -> Result<(HeaderMap, Json<TaskResult>), ApiError> {
    if let Some(wait) = prefer.wait {
        read_when_ended(&app, owner, id, Some(Instant::now() + wait)).await?;
    }
    let ending = app.store.result(owner, id).await?.ok_or(ApiError::NoTask)?;
    let no_result = ApiError::NoResult { status: ending.status, reason: ending.reason };
    let result = ending.result.ok_or(no_result)?;
    Ok((Prefer { representation: false, ..prefer }.applied(), Json(TaskResult { result })))
}

/// Read the attempts of a task
///
/// Every attempt is kept with the task: those after which it was tried again, those that their workers released, the one that ended
/// it, and the one that runs.
#[utoipa::path(get, path = "/api/Task/{id}/attempts", operation_id = "listTaskAttempts", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), params(("id" = TaskId, Path, description = "The task")),
    responses((status = 200, body = TaskAttemptList, description = "The attempts, the first one first"),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "The caller has no such task")))]
pub(crate) async fn attempts(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    TaskIdPath(id): TaskIdPath,
) -> Result<Json<TaskAttemptList>, ApiError> {
    let attempts = app.store.attempts(owner, id).await?.ok_or(ApiError::NoTask)?;
    Ok(Json(TaskAttemptList { attempts }))
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
