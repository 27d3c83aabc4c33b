//! `GET /api/Task`: the caller's tasks, all or those with a status, of a type, from a time; whole or page by page.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LINK};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use domain::{OwnerId, PageRequest, Status, TaskFilter, TaskId, TaskList, TaskSummary, Timestamp, TypeName};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use store::Store;
use telemetry::error_chain;

use crate::api::extract::authenticated::UserCaller;
use crate::api::extract::params::QueryParams;
use crate::app::AppState;
use crate::error::ApiError;

/// Which tasks, and which part of their list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only tasks with this status.
    #[param(value_type = Status, required = false, example = "RUNNING")]
    status: Option<Status>,
    /// Only tasks of this type.
    #[serde(rename = "type")]
    #[param(value_type = TypeName, required = false, example = "GENERATE_LOGIN")]
    type_name: Option<TypeName>,
    /// Only tasks that were accepted at this instant or later (`creationDate`), a date and time of RFC 3339. A `+` in it is written
    /// `%2B`.
    #[param(value_type = Timestamp, required = false, example = "2026-11-24T09:30:00Z")]
    from: Option<Timestamp>,
    /// The most tasks in the answer; without it the answer contains all of them.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1000, example = 50)]
    limit: Option<u32>,
    /// Only tasks older than the one with this id: the last id of the page before.
    #[param(value_type = TaskId, required = false)]
    before: Option<TaskId>,
}

/// List the caller's tasks
///
/// The newest first: all of them, or those with a status, of a type, from a time on; with `limit` one page. The answer to a page that
/// is full has the header `Link` with the address of the next one (RFC 8288). Without `limit` the answer is a stream, as long as it
/// takes: of many tasks, request pages.
#[utoipa::path(get, path = "/api/Task", operation_id = "listTasks", tag = "Tasks", security(("bearer" = ["User"]), ("bearer" = ["Admin"])),
    params(ListQuery),
    responses((status = 200, body = TaskList, description = "The tasks, the newest first",
            headers(("Link" = String, description = "The next page (`rel=\"next\"`); absent after the last page"))),
        (status = 400, description = "The query is invalid, or there is no such type")))]
pub(crate) async fn list(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    QueryParams(query): QueryParams<ListQuery>,
    RawQuery(sent): RawQuery,
) -> Result<Response, ApiError> {
    let ListQuery { status, type_name, from, limit, before } = query;
    let page = PageRequest { before, limit: limit.unwrap_or(PageRequest::MAX_LIMIT) };
    if !(1..=PageRequest::MAX_LIMIT).contains(&page.limit) {
        return Err(ApiError::Malformed(format!("limit must be 1 to {}", PageRequest::MAX_LIMIT)));
    }
    if let Some(name) = &type_name {
        app.catalogue.check_known(name, &app.store).await?;
    }
    let filter = TaskFilter { status, type_name, from };
    let tasks = app.store.list(owner, &filter, page).await?;
    match tasks.last() {
        Some(last) if limit.is_none() && tasks.len() == page.limit as usize => {
            let next = Some(page.next_page(last.id));
            let body = stream_list(app.store.clone(), owner, filter, tasks, next);
            Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
        }
        Some(last) if tasks.len() == page.limit as usize => {
            let next = next_page(&sent.unwrap_or_default(), last.id);
            Ok(([(LINK, next)], Json(TaskList { tasks })).into_response())
        }
        _ => Ok(Json(TaskList { tasks }).into_response()),
    }
}

/// The value of `Link` for the page after `last`: the query that was sent, as it was sent, with another `before`.
fn next_page(sent: &str, last: TaskId) -> String {
    let kept = sent.split('&').filter(|parameter| !parameter.starts_with("before="));
    let query: Vec<String> = kept.map(str::to_owned).chain([format!("before={last}")]).collect();
    format!("</api/Task?{}>; rel=\"next\"", query.join("&"))
}

/// The body of a long list: page after page, each read by a statement of its own. `first` was read already.
fn stream_list(
    store: Store,
    owner: OwnerId,
    filter: TaskFilter,
    first: Vec<TaskSummary>,
    next: Option<PageRequest>,
) -> Body {
    let filter = Arc::new(filter);
    let opening = "{\"tasks\":[".to_owned();
    let chunks = stream::unfold((Some(first), next, opening), move |(read, next, separator)| {
        let (store, filter) = (store.clone(), filter.clone());
        async move {
            let tasks = match (read, next) {
                (Some(tasks), _) => tasks,
                (None, Some(page)) => match store.list(owner, &filter, page).await {
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
            let next = next.and_then(|page| tasks.last().map(|last| page.next_page(last.id)));
            let lines: Vec<String> =
                tasks.iter().map(|task| serde_json::to_string(task).expect("a summary is JSON")).collect();
            let separator = if lines.is_empty() { "" } else { &separator };
            let closing = if next.is_none() { "]}" } else { "" };
            let chunk = format!("{separator}{}{closing}", lines.join(","));
            Some((Ok::<_, DatabaseError>(chunk), (None, next, ",".to_owned())))
        }
    });
    // Fused, since a body may be polled after its end.
    Body::from_stream(chunks.fuse())
}
