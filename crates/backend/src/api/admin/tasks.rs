//! `/api/Admin/Task/{id}` and `/api/Admin/Task/counts`: one task of any owner, its cancellation, and the numbers of all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::{AdminTask, OwnerId, Reason, Status, TaskCountsResponse, TaskId};
use serde::Deserialize;

use crate::api::extract::authenticated::AdminCaller;
use crate::api::extract::params::{QueryParams, TaskIdPath};
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle;

/// Read one task of any owner
///
/// Without its parameters, its result and the text of its error.
#[utoipa::path(get, path = "/api/Admin/Task/{id}", operation_id = "getTaskAsAdmin", tag = "Administration",
    security(("bearer" = ["Admin"])), params(("id" = TaskId, Path, description = "The task")),
    responses((status = 200, body = AdminTask, description = "The task"),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "There is no such task")))]
pub(crate) async fn get(
    State(app): State<Arc<AppState>>,
    _: AdminCaller,
    TaskIdPath(id): TaskIdPath,
) -> Result<Json<AdminTask>, ApiError> {
    app.store.get_as_admin(id).await?.map(Json).ok_or(ApiError::NoTask)
}

/// Cancel one task of any owner
///
/// Answers 200 if the task is cancelled, by this request or an earlier one; the task names the administrator (`cancelledBy`). Answers
/// 409 if it had ended in another way.
#[utoipa::path(post, path = "/api/Admin/Task/{id}/cancel", operation_id = "cancelTaskAsAdmin", tag = "Administration",
    security(("bearer" = ["Admin"])), params(("id" = TaskId, Path, description = "The task")),
    responses((status = 200, body = AdminTask, description = "The cancelled task"),
        (status = 400, description = "The id is not a UUID"),
        (status = 404, description = "There is no such task"),
        (status = 409, description = "The task had ended in another way")))]
pub(crate) async fn cancel(
    State(app): State<Arc<AppState>>,
    AdminCaller(admin): AdminCaller,
    TaskIdPath(id): TaskIdPath,
) -> Result<Json<AdminTask>, ApiError> {
    lifecycle::cancel::cancel_as_admin(&app.store, &app.notifier, admin, id).await?;
    let task = app.store.get_as_admin(id).await?.ok_or(ApiError::NoTask)?;
    match (task.status, task.reason) {
        (Status::Cancelled, Some(Reason::Requested)) => Ok(Json(task)),
        (status, reason) => Err(ApiError::Ended { status, reason }),
    }
}

/// Whose tasks are counted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountQuery {
    owner: Option<OwnerId>,
}

/// Count the tasks of all owners
///
/// By status, and by type and status. At most 100,000 tasks that have not ended are counted, and at most 100,000 of those that have, the newest;
/// `isExact` says whether those were all. With `owner` only that owner's, as the owner counts them.
#[utoipa::path(get, path = "/api/Admin/Task/counts", operation_id = "countTasksAsAdmin", tag = "Administration",
    security(("bearer" = ["Admin"])),
    params(("owner" = Option<OwnerId>, Query, description = "Only tasks of this account or client")),
    responses((status = 200, body = TaskCountsResponse, description = "The numbers of tasks"),
        (status = 400, description = "The owner is not a UUID")))]
pub(crate) async fn count(
    State(app): State<Arc<AppState>>,
    _: AdminCaller,
    QueryParams(CountQuery { owner }): QueryParams<CountQuery>,
) -> Result<Json<TaskCountsResponse>, ApiError> {
    Ok(Json(app.store.count(owner).await?))
}
