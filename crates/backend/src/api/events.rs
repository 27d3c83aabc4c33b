//! `GET /api/Task/{id}/events`, `/api/Task/events` and `/api/Admin/Task/events`: what happens to tasks, as server-sent events.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::{OwnerId, TaskId};
use uuid::Uuid;

use crate::api::event_stream::{END_OF_TASK, EventStream, Reader};
use crate::api::extract::authenticated::{AdminCaller, UserCaller};
use crate::api::extract::params::TaskIdPath;
use crate::app::AppState;
use crate::auth::caller::Caller;
use crate::error::ApiError;
use crate::events::broadcaster::Topic;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Follow one task
///
/// A stream of server-sent events (`text/event-stream`, in the HTML standard). The first event has the task as it is now, the stream ends
/// after the event `ended`. A client that connects again with the id of that event is answered with 204, at which `EventSource` stops.
#[utoipa::path(get, path = "/api/Task/{id}/events", operation_id = "followTask", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(("id" = TaskId, Path, description = "The task"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has received")),
    responses((status = 200, body = String, content_type = "text/event-stream",
            description = "The events; the field `event` of each is the kind, its `data` is a JSON object, a `TaskEvent`"),
        (status = 204, description = "The task has ended, and the client has received that event"),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "The caller has no such task"),
        (status = 429, description = "As many event streams of the account or client are open as may be")))]
pub(crate) async fn of_task(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    caller: Caller,
    TaskIdPath(id): TaskIdPath,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // Subscribed before the task is read: no change between the two is missed.
    let subscription = app.notifier.subscribe_to_events(owner, Topic::Task(id), None)?;
    let event = app.store.last_event(owner, id).await?.ok_or(ApiError::NoTask)?;
    if event.status.is_final() && last_event_id(&headers) == Some(END_OF_TASK) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let reader = Reader::Task { owner, id, now: Some(Box::new(event)), last: None };
    Ok(EventStream::new(app, caller, subscription, reader).into_response())
}

/// Follow the caller's tasks
///
/// A stream of server-sent events (`text/event-stream`, in the HTML standard) about all tasks of the caller. A client that connects again
/// with `Last-Event-ID` continues after that event, if the Backend still has it. Otherwise, and when events may have been missed, the stream
/// has an event `reset`, without an id and with the data `{}`: then the client reads the list of tasks.
#[utoipa::path(get, path = "/api/Task/events", operation_id = "followTasks", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has received")),
    responses((status = 200, body = String, content_type = "text/event-stream",
            description = "The events; the field `event` of each is the kind, its `data` is a JSON object, a `TaskEvent`"),
        (status = 429, description = "As many event streams of the account or client are open as may be")))]
pub(crate) async fn of_owner(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let subscription =
        app.notifier.subscribe_to_events(owner, Topic::Owner(owner), continue_after(&headers))?;
    Ok(EventStream::new(app, caller, subscription, Reader::Owner).into_response())
}

/// Follow the tasks of everybody
///
/// The stream of `/api/Task/events` with the tasks of all owners, for operators: each event names the owner. Parameters, results and
/// the texts of operations are never part of it.
#[utoipa::path(get, path = "/api/Admin/Task/events", operation_id = "followAllTasks", tag = "Tasks",
    security(("bearer" = ["Admin"])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that the client has received")),
    responses((status = 200, body = String, content_type = "text/event-stream",
            description = "The events; the field `event` of each is the kind, its `data` is a JSON object, a `TaskEvent`"),
        (status = 429, description = "As many event streams of the account or client are open as may be")))]
pub(crate) async fn of_all(
    State(app): State<Arc<AppState>>,
    AdminCaller(admin): AdminCaller,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = continue_after(&headers);
    let subscription = app.notifier.subscribe_to_events(OwnerId(admin.0), Topic::All, after)?;
    Ok(EventStream::new(app, caller, subscription, Reader::Operator).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(LAST_EVENT_ID)?.to_str().ok()
}

/// The id of the event after which the client continues; any other text is no event's id.
fn continue_after(headers: &HeaderMap) -> Option<Uuid> {
    last_event_id(headers)?.parse().ok()
}
