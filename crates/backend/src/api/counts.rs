//! `GET /api/Task/counts`: how many tasks the caller has, by status and type.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::TaskCountsResponse;

use crate::api::extract::authenticated::UserCaller;
use crate::app::AppState;
use crate::error::ApiError;

/// Count the caller's tasks
///
/// By status, and by type and status. At most 100,000 tasks that have not ended are counted, and at most 100,000 of each final status, the
/// newest; `isExact` says whether those were all.
#[utoipa::path(get, path = "/api/Task/counts", operation_id = "countTasks", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    responses((status = 200, body = TaskCountsResponse, description = "The numbers of tasks")))]
pub(crate) async fn count(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
) -> Result<Json<TaskCountsResponse>, ApiError> {
    Ok(Json(app.store.count(Some(owner)).await?))
}
