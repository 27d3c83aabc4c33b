//! The answer to a submission of one task: its id, or the task with `Prefer: return=representation` or `wait=N`.

use axum::Json;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use domain::{OwnerId, Task, TaskId};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;
use web::timeout::RequestDeadline;

use crate::api::extract::prefer::Prefer;
use crate::api::waiting_read::read_when_ended;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::submit::AcceptedTasks;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Status, headers and body of the answer.
pub(crate) type SubmissionAnswer = (StatusCode, HeaderMap, Json<SubmitTaskResponse>);

/// The answer to a submission: the task's id, or the task with `Prefer: return=representation` or `wait=N`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SubmitTaskResponse {
    /// The task's id.
    Id(TaskId),
    /// The task as it is now.
    Task(Box<Task>),
}

/// The answer to a request that was accepted, and that may wait until `wait_until` for the end of its task.
pub(crate) async fn answer(
    app: &AppState,
    owner: OwnerId,
    deadline: &RequestDeadline,
    prefer: Prefer,
    wait_until: Option<Instant>,
    accepted: &AcceptedTasks,
) -> Result<SubmissionAnswer, ApiError> {
    let [id] = accepted.ids[..] else {
        // The key was used for this endpoint and this body, so it was one task.
        return Err(ApiError::KeyReused);
    };
    let location = HeaderValue::from_str(&format!("/api/Task/{id}")).expect("an id is ASCII");
    // The task is accepted. From here on every failure is answered with the id: after an error the caller would submit the
    // task again.
    let task = if prefer.representation || wait_until.is_some() {
        timeout_at(deadline.answer_deadline(), read_when_ended(app, owner, id, wait_until))
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
    headers.extend(repeated_header(accepted));
    headers.insert(LOCATION, location);
    Ok((StatusCode::CREATED, headers, Json(answer)))
}

/// The header that says that an earlier request with the same idempotency key made the tasks; none if this one did.
pub(crate) fn repeated_header(accepted: &AcceptedTasks) -> HeaderMap {
    let replayed = accepted.is_repeated.then(|| (REPLAYED, HeaderValue::from_static("true")));
    replayed.into_iter().collect()
}
