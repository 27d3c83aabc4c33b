//! `GET /api/Task`: the caller's tasks, all or those that a query selects; whole or page by page.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use domain::{OwnerId, PageRequest, TaskFilter, TaskList, TaskSummary};
use futures_util::{StreamExt, stream};
use store::{Page, Store};
use telemetry::error_chain;

use crate::api::extract::authenticated::UserCaller;
use crate::api::list_query::{ListQuery, next_page};
use crate::app::AppState;
use crate::error::ApiError;

/// List the caller's tasks
///
/// The newest or the oldest first: all of them, or those with a status, of a type, of a time; with `limit` one page. The header `Link`
/// of an answer has the address of the next page, if there may be one (RFC 8288). A page reads at most 51,000 of the caller's
/// tasks: where few of them pass the conditions, it has fewer tasks than `limit`, or none, and a next page. Without `limit` the answer
/// is a stream, as long as it takes: of many tasks, request pages.
#[utoipa::path(get, path = "/api/Task", operation_id = "listTasks", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(ListQuery),
    responses((status = 200, body = TaskList, description = "The tasks in the order that was asked for",
            headers(("Link" = String, description = "The next page (`rel=\"next\"`); absent after the last page"))),
        (status = 400, description = "The query is invalid, or there is no such type")))]
pub(crate) async fn list(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    query: ListQuery,
    RawQuery(sent): RawQuery,
) -> Result<Response, ApiError> {
    let (filter, page) = (query.filter(), query.page());
    if let Some(name) = &filter.type_name {
        app.catalogue.check_known(name, &app.store).await?;
    }
    let Page { tasks, next } = app.store.list(owner, &filter, page).await?;
    match next {
        Some(next) if query.is_whole() => {
            let body = stream_list(app.store.clone(), owner, filter, tasks, page.next_page(next));
            Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
        }
        Some(next) => {
            let link = next_page("/api/Task", &sent.unwrap_or_default(), next);
            Ok(([(LINK, link)], Json(TaskList { tasks })).into_response())
        }
        None => Ok(Json(TaskList { tasks }).into_response()),
    }
}

/// What of a list was not sent yet.
struct Unsent {
    /// The tasks that were read already.
    tasks: Vec<TaskSummary>,
    /// What is written before the next task.
    separator: &'static str,
    /// What is read next; `None`: the list ends with `tasks`.
    next: Option<PageRequest>,
}

/// The body of a long list: page after page, each read by a statement of its own. `tasks` were read already.
fn stream_list(
    store: Store,
    owner: OwnerId,
    filter: TaskFilter,
    tasks: Vec<TaskSummary>,
    next: PageRequest,
) -> Body {
    let filter = Arc::new(filter);
    let opening = stream::once(async { Ok("{\"tasks\":[".to_owned()) });
    let first = Unsent { tasks, separator: "", next: Some(next) };
    let chunks = stream::unfold(Some(first), move |unsent| {
        let (store, filter) = (store.clone(), filter.clone());
        async move {
            let Unsent { tasks, separator, next } = unsent?;
            let lines: Vec<String> =
                tasks.iter().map(|task| serde_json::to_string(task).expect("a summary is JSON")).collect();
            let (before, separator) = if lines.is_empty() { ("", separator) } else { (separator, ",") };
            let chunk = format!("{before}{}", lines.join(","));
            let Some(page) = next else { return Some((Ok(chunk + "]}"), None)) };
            match store.list(owner, &filter, page).await {
                Ok(Page { tasks, next }) => {
                    let next = next.map(|next| page.next_page(next));
                    Some((Ok(chunk), Some(Unsent { tasks, separator, next })))
                }
                Err(error) => {
                    // The body ends in the middle, so the client sees that it is incomplete. The status was sent
                    // long ago, so the log of requests does not show the failure.
                    tracing::warn!(owner.id = %owner, error = %error_chain(&error), "a list of tasks was cut short: the database failed while it was sent");
                    Some((Err::<String, DatabaseError>(error), None))
                }
            }
        }
    });
    // Fused, since a body may be polled after its end.
    Body::from_stream(opening.chain(chunks).fuse())
}
