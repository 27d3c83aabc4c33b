//! `GET /api/Admin/Task`: a page of the tasks of all owners.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::LINK;
use axum::response::{IntoResponse, Response};
use domain::{AdminTaskList, TaskFilter};
use store::Page;

use crate::api::extract::authenticated::AdminCaller;
use crate::api::list_query::{AdminListQuery, ListQuery, next_page};
use crate::app::AppState;
use crate::error::ApiError;

/// List tasks of all owners
///
/// Without their parameters, results and the texts of their errors. The answer is one page, of 1000 tasks without `limit`; the header
/// `Link` has the address of the next page, if there may be one (RFC 8288). A page reads at most 51,000 tasks: where few of them pass the
/// conditions, it has fewer tasks than `limit`, or none, and a next page.
#[utoipa::path(get, path = "/api/Admin/Task", operation_id = "listTasksAsAdmin", tag = "Administration",
    security(("bearer" = ["Admin"])), params(ListQuery, AdminListQuery),
    responses((status = 200, body = AdminTaskList, description = "The tasks in the order that was asked for",
            headers(("Link" = String, description = "The next page (`rel=\"next\"`); absent after the last page"))),
        (status = 400, description = "The query is invalid, or there is no such type")))]
pub(crate) async fn list(
    State(app): State<Arc<AppState>>,
    _: AdminCaller,
    AdminListQuery { owner, worker, list }: AdminListQuery,
    RawQuery(sent): RawQuery,
) -> Result<Response, ApiError> {
    let filter = TaskFilter { worker, ..list.filter() };
    if let Some(name) = &filter.type_name {
        app.catalogue.check_known(name, &app.store).await?;
    }
    let Page { tasks, next } = app.store.list_as_admin(owner, &filter, list.page()).await?;
    let body = Json(AdminTaskList { tasks });
    Ok(match next {
        Some(next) => {
            ([(LINK, next_page("/api/Admin/Task", &sent.unwrap_or_default(), next))], body).into_response()
        }
        None => body.into_response(),
    })
}
