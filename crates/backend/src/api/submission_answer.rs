//! The answer to a submission of one task: its id, or the task with `Prefer: return=representation` or `wait=N`.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::{Extension, Json};
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

/// What the answer should contain, how long the request may wait for it, and when it must be sent.
pub(crate) struct WantedAnswer {
    prefer: Prefer,
    wait_until: Option<Instant>,
    deadline: RequestDeadline,
}

impl FromRequestParts<Arc<AppState>> for WantedAnswer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let Ok(prefer) = Prefer::from_request_parts(parts, app).await;
        let deadline = Extension::<RequestDeadline>::from_request_parts(parts, app).await;
        let Extension(deadline) = deadline.expect("every request has a time limit");
        Ok(Self { prefer, wait_until: prefer.wait.map(|wait| Instant::now() + wait), deadline })
    }
}

/// The answer to a request that was accepted.
pub(crate) async fn answer(
    app: &AppState,
    owner: OwnerId,
    wanted: WantedAnswer,
    accepted: &AcceptedTasks,
) -> Result<SubmissionAnswer, ApiError> {
    let WantedAnswer { prefer, wait_until, deadline } = wanted;
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
