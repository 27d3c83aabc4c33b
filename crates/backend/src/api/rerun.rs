//! `POST /api/Task/{id}/rerun`: a user submits the content of a task again.

use std::sync::Arc;

use axum::extract::State;
use domain::TaskId;
use web::request_span::RequestTrace;

use crate::api::extract::authenticated::UserCaller;
use crate::api::extract::idempotency_key::OptionalIdempotencyKey;
use crate::api::extract::params::TaskIdPath;
use crate::api::submission_answer::{self, SubmissionAnswer, SubmitTaskResponse, WantedAnswer};
use crate::app::AppState;
use crate::error::ApiError;

/// Submit the content of a task again
///
/// A new task of the same type, parameters, times and options, if the operation of today allows them; its `rerunOf` is the id of the
/// task. It is ready at once, whatever `notBefore` the task had. The answer is that of a submission.
#[utoipa::path(post, path = "/api/Task/{id}/rerun", operation_id = "rerunTask", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(("id" = TaskId, Path, description = "The task"),
        ("Prefer" = Option<String>, Header, description = "`return=representation`, `wait=N` (seconds, at most 60)"),
        ("Idempotency-Key" = Option<String>, Header, description = "A key of your own for this request, which may then be repeated: see `POST /api/Task`"),
        ("traceparent" = Option<String>, Header,
            description = "W3C Trace Context: the spans of the new task become part of this trace")),
    responses((status = 201, body = SubmitTaskResponse, description = "The new task is accepted and stored durably",
            headers(("Location" = String, description = "The new task's path"),
                ("Preference-Applied" = String, description = "The preferences that were honoured"),
                ("Idempotent-Replayed" = String, description = "`true`: an earlier request with this key made the task"))),
        (status = 400, description = "The id is not a UUID, or the key is malformed"),
        (status = 404, description = "The caller has no such task"),
        (status = 409, description = "A request with this key is being processed; repeat the request after `Retry-After`",
            headers(("Retry-After" = u32, description = "After how many seconds to try again"))),
        (status = 413, description = "The parameters are larger than they may be now"),
        (status = 422, description = "The operation does not allow the task any more, and `errors` lists each fault; or the key was used for another request"),
        (status = 429, description = "The caller has as many unfinished tasks as an owner may have")))]
pub(crate) async fn rerun(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    RequestTrace(trace): RequestTrace,
    TaskIdPath(id): TaskIdPath,
    wanted: WantedAnswer,
    key: OptionalIdempotencyKey,
) -> Result<SubmissionAnswer, ApiError> {
    let key = key.of_request(owner, &format!("/api/Task/{id}/rerun"), &[]);
    let accepted = app.submitter.accept_again(owner, trace, id, key).await?;
    submission_answer::answer(&app, owner, wanted, &accepted).await
}
