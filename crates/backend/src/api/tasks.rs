//! `/api/Task` and below: a user submits tasks, lists and reads them, reads their results, cancels them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LINK, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use database::DatabaseError;
use domain::{OwnerId, PageRequest, Reason, Status, Task, TaskId, TaskList, TaskResult, TaskSummary};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use store::Store;
use telemetry::error_chain;
use tokio::time::{Instant, timeout, timeout_at};
use web::json_body::JsonBody;
use web::request_span::RequestTrace;
use web::timeout::RequestDeadline;

use crate::api::extract::authenticated::UserCaller;
use crate::api::extract::params::{QueryParams, TaskIdPath};
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
            headers(("Location" = String, description = "The task's path"),
                ("Preference-Applied" = String, description = "The preferences that were honoured"))),
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

/// Which part of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// The most tasks in the answer; without it the answer contains all of them.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Only tasks older than the one with this id: the last id of the page before.
    #[param(value_type = TaskId, required = false)]
    before: Option<TaskId>,
}

/// List the caller's tasks
///
/// The newest first: all of them, or with `limit` one page. The answer to a page that is full has the header `Link` with the
/// address of the next one (RFC 8288). Without `limit` the answer is a stream, as long as it takes: of many tasks, request pages.
#[utoipa::path(get, path = "/api/Task", operation_id = "listTasks", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(ListQuery),
    responses((status = 200, body = TaskList, description = "The tasks, the newest first",
            headers(("Link" = String, description = "The next page (`rel=\"next\"`); absent after the last page"))),
        (status = 400, description = "The query is invalid")))]
pub(crate) async fn list(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Response, ApiError> {
    let page = PageRequest { before: query.before, limit: query.limit.unwrap_or(PageRequest::MAX_LIMIT) };
    if !(1..=PageRequest::MAX_LIMIT).contains(&page.limit) {
        return Err(ApiError::Malformed(format!("limit is 1 to {}", PageRequest::MAX_LIMIT)));
    }
    let tasks = app.store.list(owner, page).await?;
    match tasks.last() {
        Some(last) if query.limit.is_none() && tasks.len() == page.limit as usize => {
            let next = Some(page.after(last.id));
            let body = stream_list(app.store.clone(), owner, tasks, next);
            Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
        }
        Some(last) if tasks.len() == page.limit as usize => {
            let next = format!("</api/Task?limit={}&before={}>; rel=\"next\"", page.limit, last.id);
            Ok(([(LINK, next)], Json(TaskList { tasks })).into_response())
        }
        _ => Ok(Json(TaskList { tasks }).into_response()),
    }
}

/// The body of a long list: page after page, each read by a statement of its own. `first` was read already.
fn stream_list(store: Store, owner: OwnerId, first: Vec<TaskSummary>, next: Option<PageRequest>) -> Body {
    let opening = "{\"tasks\":[".to_owned();
    let chunks = stream::unfold((Some(first), next, opening), move |(read, next, separator)| {
        let store = store.clone();
        async move {
            let tasks = match (read, next) {
                (Some(tasks), _) => tasks,
                (None, Some(page)) => match store.list(owner, page).await {
                    Ok(tasks) => tasks,
                    Err(error) => {
                        // The body ends in the middle, so the client sees that it is incomplete. The status was sent
                        // long ago, so the log of requests does not show the failure.
                        tracing::warn!(owner.id = %owner, error = %error_chain(&error), "a list of tasks was cut short: the database failed while it was sent");
                        return Some((Err(error), (None, None, String::new())));
                    }
                },
                (None, None) => return None,
            };
            let next = next.filter(|_| tasks.len() == PageRequest::MAX_LIMIT as usize);
            let next = next.and_then(|page| tasks.last().map(|last| page.after(last.id)));
            let lines: Vec<String> =
                tasks.iter().map(|task| serde_json::to_string(task).expect("a summary is JSON")).collect();
            let separator = if lines.is_empty() { "" } else { &separator };
            let closing = if next.is_none() { "]}" } else { "" };
            let chunk = format!("{separator}{}{closing}", lines.join(","));
            Some((Ok::<_, DatabaseError>(chunk), (None, next, ",".to_owned())))
        }
    });
    Body::from_stream(chunks)
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
