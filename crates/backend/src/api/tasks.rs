//! What a user does with tasks: submit, list, look, read the result, cancel.

use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json as Body};
use database::DatabaseError;
use domain::{OwnerId, Page, Reason, Status, Task, TaskId, TaskList, TaskResult};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use store::Store;
use tokio::time::{Instant, timeout, timeout_at};

use crate::api::extract::prefer::Prefer;
use crate::api::middleware::normalize_path::{Id, QueryParams};
use crate::api::middleware::timeout::{RequestBody, ResponseDeadline};
use crate::api::middleware::trace_context::RequestTrace;
use crate::api::task_body::submission;
use crate::app::App;
use crate::auth::token_verifier::UserCaller;
use crate::error::ApiError;
use crate::metrics;

/// A task submission.
#[derive(utoipa::ToSchema)]
#[schema(example = json!({"type": "GENERATE_NUMBER", "parameters": {"length": 6}, "ttl": 60_000}))]
#[expect(
    dead_code,
    reason = "documents the body; `submission.rs` reads it field by field to name each fault"
)]
pub(crate) struct NewTask {
    /// The operation to run; `GET /api/Operation` lists them.
    r#type: domain::TypeName,
    /// What the operation's schema asks for.
    #[schema(value_type = Option<serde_json::Value>)]
    parameters: Option<domain::RawJson>,
    /// In milliseconds, from the claim to the deadline.
    ttl: domain::Ttl,
}

/// The answer to a submission: the id, or the task if that was preferred.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum Submitted {
    /// The task's id.
    Id(TaskId),
    /// The task as it is now.
    Task(Box<Task>),
}

/// Submits a task; the answer is its id, or the task itself by `Prefer: return=representation` or `wait=N`. If it cannot
/// be read once it is accepted, the answer is its id after all, without `Preference-Applied`.
#[utoipa::path(post, path = "/api/Task", tag = "Task", security(("bearer" = [])), request_body = NewTask,
    params(("Prefer" = Option<String>, Header, description = "`return=representation`, `wait=N` (seconds, at most 60)"),
        ("traceparent" = Option<String>, Header, description = "W3C Trace Context; the task's steps are parts of the trace")),
    responses((status = 201, body = Submitted, description = "It is accepted for good",
            headers(("Location" = String, description = "The task's address"),
                ("Preference-Applied" = Option<String>, description = "The preferences that were honoured"))),
        (status = 400, description = "The body is not JSON"),
        (status = 413, description = "The body or the parameters are too large"),
        (status = 422, description = "A rule is broken; `errors` says which and where")))]
pub(crate) async fn submit(
    State(app): State<App>,
    UserCaller(owner): UserCaller,
    Extension(ResponseDeadline(by)): Extension<ResponseDeadline>,
    RequestTrace(trace): RequestTrace,
    prefer: Prefer,
    RequestBody(body): RequestBody,
) -> Result<(StatusCode, HeaderMap, Body<Submitted>), ApiError> {
    let submission = submission(&app, owner, trace, &body).await?;
    let id = submission.id;
    let wait = prefer.wait.map(|wait| Instant::now() + wait);
    app.submit.put(submission).await?;
    let trace = trace.map(|trace| tracing::field::display(trace.id()));
    tracing::debug!(task.id = %id, trace.id = trace, "a task was accepted");
    let location = HeaderValue::from_str(&format!("/api/Task/{id}")).expect("an id is ASCII");
    // It is accepted: whatever goes wrong from here on is no reason to say anything else, for the task would be sent again.
    let task = if prefer.representation || wait.is_some() {
        timeout_at(by, ended(&app, owner, id, wait)).await.ok().and_then(Result::ok)
    } else {
        None
    };
    let (mut headers, submitted) = match task {
        Some(task) => (prefer.applied(), Submitted::Task(Box::new(task))),
        None => (HeaderMap::new(), Submitted::Id(id)),
    };
    headers.insert(LOCATION, location);
    Ok((StatusCode::CREATED, headers, Body(submitted)))
}

/// Which part of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// How many at most; without it, all of them.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The last id of the page before.
    #[param(value_type = TaskId, required = false)]
    before: Option<TaskId>,
}

/// The caller's own tasks, newest first: all of them, or a page.
#[utoipa::path(get, path = "/api/Task", tag = "Task", security(("bearer" = [])), params(ListQuery),
    responses((status = 200, body = TaskList), (status = 400, description = "No such query")))]
pub(crate) async fn list(
    State(app): State<App>,
    UserCaller(owner): UserCaller,
    QueryParams(query): QueryParams<ListQuery>,
) -> Result<Response, ApiError> {
    let page = Page { before: query.before, limit: query.limit.unwrap_or(Page::LONGEST) };
    if !(1..=Page::LONGEST).contains(&page.limit) {
        return Err(ApiError::Malformed(format!("limit is 1 to {}", Page::LONGEST)));
    }
    let tasks = app.store.list(owner, page).await?;
    match tasks.last() {
        Some(last) if query.limit.is_none() && tasks.len() == page.limit as usize => {
            let rest = Some(page.after(last.id));
            Ok(([(CONTENT_TYPE, "application/json")], everything(app.store.clone(), owner, tasks, rest))
                .into_response())
        }
        _ => Ok(Body(TaskList { tasks }).into_response()),
    }
}

/// A long list as it comes: page after page, each its own statement.
fn everything(store: Store, owner: OwnerId, first: Vec<domain::TaskSummary>, rest: Option<Page>) -> Stream {
    let open = "{\"tasks\":[".to_owned();
    let pages = stream::unfold((Some(first), rest, open), move |(ready, rest, before)| {
        let store = store.clone();
        async move {
            let tasks = match (ready, rest) {
                (Some(tasks), _) => tasks,
                (None, Some(page)) => match store.list(owner, page).await {
                    Ok(tasks) => tasks,
                    // The answer breaks off: a client sees that it is not whole.
                    Err(error) => return Some((Err(error), (None, None, String::new()))),
                },
                (None, None) => return None,
            };
            let rest = rest.filter(|_| tasks.len() == Page::LONGEST as usize);
            let rest = rest.and_then(|page| tasks.last().map(|last| page.after(last.id)));
            let lines: Vec<String> =
                tasks.iter().map(|task| serde_json::to_string(task).expect("a summary is JSON")).collect();
            let comma = if lines.is_empty() { "" } else { &before };
            let close = if rest.is_none() { "]}" } else { "" };
            let chunk = format!("{comma}{}{close}", lines.join(","));
            Some((Ok::<_, DatabaseError>(chunk), (None, rest, ",".to_owned())))
        }
    });
    Stream::from_stream(pages)
}

/// Everything about one of the caller's tasks. `Prefer: wait=N` answers when it has ended, or after N seconds.
#[utoipa::path(get, path = "/api/Task/{id}", tag = "Task", security(("bearer" = [])),
    params(("id" = TaskId, Path), ("Prefer" = Option<String>, Header, description = "`wait=N` (seconds, at most 60)")),
    responses((status = 200, body = Task), (status = 400, description = "Not an id"),
        (status = 404, description = "No such task among the caller's")))]
pub(crate) async fn get(
    State(app): State<App>,
    UserCaller(owner): UserCaller,
    Id(id): Id,
    prefer: Prefer,
) -> Result<(HeaderMap, Body<Task>), ApiError> {
    let until = prefer.wait.map(|wait| Instant::now() + wait);
    let task = ended(&app, owner, id, until).await?;
    Ok((Prefer { representation: false, ..prefer }.applied(), Body(task)))
}

/// What a finished task's operation returned. A task that is not FINISHED has none: 404 with its status and reason.
#[utoipa::path(get, path = "/api/Task/{id}/result", tag = "Task", security(("bearer" = [])), params(("id" = TaskId, Path)),
    responses((status = 200, body = TaskResult), (status = 400, description = "Not an id"),
        (status = 404, description = "No such task among the caller's, or it has no result")))]
pub(crate) async fn result(
    State(app): State<App>,
    UserCaller(owner): UserCaller,
    Id(id): Id,
) -> Result<Body<TaskResult>, ApiError> {
    let ending = app.store.result(owner, id).await?.ok_or(ApiError::NoTask)?;
    let no_result = ApiError::NoResult { status: ending.status, reason: ending.reason };
    ending.result.map(|result| Body(TaskResult { result })).ok_or(no_result)
}

/// Cancels one of the caller's tasks. 200: it is cancelled, by this or an earlier cancel, and will never finish. 409: it had
/// ended otherwise.
#[utoipa::path(post, path = "/api/Task/{id}/cancel", tag = "Task", security(("bearer" = [])), params(("id" = TaskId, Path)),
    responses((status = 200, body = Task), (status = 400, description = "Not an id"),
        (status = 404, description = "No such task among the caller's"),
        (status = 409, description = "It had ended otherwise")))]
pub(crate) async fn cancel(
    State(app): State<App>,
    UserCaller(owner): UserCaller,
    Id(id): Id,
) -> Result<Body<Task>, ApiError> {
    let ended = app.store.cancel(owner, &[id]).await?;
    if !ended.is_empty() {
        ended.iter().for_each(metrics::verdict);
        tracing::info!(target: "audit", { audit.event = "task_cancelled", task.id = %id, owner.id = %owner }, "{owner} cancelled task {id}");
    }
    app.bells.ended(&ended.iter().map(|ended| ended.id).collect::<Vec<_>>());
    let task = app.store.get(owner, id).await?.ok_or(ApiError::NoTask)?;
    match (task.status, task.reason) {
        (Status::Cancelled, Some(Reason::Requested)) => Ok(Body(task)),
        (status, reason) => Err(ApiError::Ended { status, reason }),
    }
}

/// The owner's task: at once, or when it has ended, but not after `until` nor after the service stops.
async fn ended(app: &App, owner: OwnerId, id: TaskId, until: Option<Instant>) -> Result<Task, ApiError> {
    let look = async || app.store.get(owner, id).await?.ok_or(ApiError::NoTask);
    let Some(until) = until else { return look().await };
    loop {
        let rings = app.bells.subscribe_to_end(id);
        let task = look().await?;
        let left = until.saturating_duration_since(Instant::now());
        if task.status.is_final() || left.is_zero() || app.stop.is_cancelled() {
            return Ok(task);
        }
        tracing::trace!(task.id = %id, "a request waits for the end of its task");
        tokio::select! {
            _ = timeout(left.min(app.settings.slow_check), rings) => {}
            () = app.stop.cancelled() => {}
        }
    }
}
