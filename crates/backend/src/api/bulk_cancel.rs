//! `POST /api/Task/cancel`: a user cancels all own tasks that meet conditions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::problem_types::tasks::{FILTER_INVALID, UNKNOWN_TYPE};
use domain::{BulkCancellation, Fault, Label, Labels, RawJson, Status, TaskFilter, Timestamp, TypeName};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use web::json_body::JsonBody;

use crate::api::extract::authenticated::UserCaller;
use crate::api::option_fields::read_labels;
use crate::app::AppState;
use crate::error::ApiError;
use crate::invalid_input_text::pointer;
use crate::lifecycle;

/// Which tasks are cancelled: those that have not ended and meet all conditions. At least one condition is required.
#[derive(Debug, Default, ToSchema)]
#[schema(as = CancelFilter, rename_all = "camelCase", examples(json!({"type": "GENERATE_NUMBER", "status": "CREATED"})))]
pub(crate) struct CancelFilter {
    /// The status of the tasks, `CREATED` or `RUNNING`; if it is absent, both.
    status: Option<Status>,
    /// The type of the tasks.
    r#type: Option<TypeName>,
    /// The tasks have all of these labels.
    labels: Option<Labels>,
    /// The tasks were accepted at this instant or later.
    created_after: Option<Timestamp>,
    /// The tasks were accepted before this instant.
    created_before: Option<Timestamp>,
}

/// Cancel the caller's tasks that meet conditions
///
/// The oldest first. A request cancels tasks for at most five seconds and at most 10,000 of them. If `hasMore` is true, it has not looked at
/// all tasks: repeat it until it is false.
#[utoipa::path(post, path = "/api/Task/cancel", operation_id = "cancelTasks", tag = "Tasks",
    security(("bearer" = ["User"]), ("bearer" = ["Admin"])), request_body = CancelFilter,
    responses((status = 200, body = BulkCancellation, description = "How many tasks were cancelled"),
        (status = 400, description = "The body is not JSON"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn cancel(
    State(app): State<Arc<AppState>>,
    UserCaller(owner): UserCaller,
    body: JsonBody<ApiError>,
) -> Result<Json<BulkCancellation>, ApiError> {
    let filter = parse(&body)?;
    if let Some(name) = &filter.type_name {
        app.catalogue.check_known(name, &app.store).await.map_err(|error| match error {
            ApiError::Malformed(detail) => ApiError::invalid(&UNKNOWN_TYPE, "/type", detail),
            other => other,
        })?;
    }
    Ok(Json(lifecycle::cancel::cancel_matching(&app.store, &app.notifier, owner, &filter).await?))
}

/// Reads each member, so that every fault is reported with its place.
fn parse(body: &JsonBody<ApiError>) -> Result<TaskFilter, ApiError> {
    let members: BTreeMap<String, RawJson> = body.parse()?;
    let (mut filter, mut faults) = (CancelFilter::default(), Vec::new());
    let is_empty = members.is_empty();
    for (name, value) in members {
        let is_read = match &*name {
            "status" => read(&value, &mut filter.status),
            "type" => read(&value, &mut filter.r#type),
            "labels" => {
                filter.labels = Some(read_labels(&value, &mut faults));
                true
            }
            "createdAfter" => read(&value, &mut filter.created_after),
            "createdBefore" => read(&value, &mut filter.created_before),
            _ => false,
        };
        let is_final = name == "status" && filter.status.is_some_and(Status::is_final);
        if !is_read || is_final {
            let rule = match &*name {
                "status" => "must be CREATED or RUNNING: other tasks have ended",
                "type" => "must be a text: a type is 1 to 100 letters, digits, dots, underscores or hyphens",
                "createdAfter" | "createdBefore" => {
                    "must be a date and time of RFC 3339, like \"2026-11-24T09:30:00Z\""
                }
                _ => "is no condition; there are status, type, labels, createdAfter and createdBefore",
            };
            faults.push(Fault { pointer: pointer("", &name), detail: format!("{name} {rule}") });
        }
    }
    if is_empty {
        let rule = "give at least one condition: without any, every task would be cancelled";
        faults.push(Fault { pointer: String::new(), detail: rule.to_owned() });
    }
    if !faults.is_empty() {
        return Err(ApiError::Invalid { of: &FILTER_INVALID, faults });
    }
    let CancelFilter { status, r#type: type_name, labels, created_after, created_before } = filter;
    let labels = labels.unwrap_or_default().0.into_iter().map(|(key, value)| Label { key, value }).collect();
    Ok(TaskFilter { status, type_name, labels, created_after, created_before, ..TaskFilter::UNFILTERED })
}

/// Reads the value of a condition; false if it is not one.
fn read<T: DeserializeOwned>(value: &RawJson, condition: &mut Option<T>) -> bool {
    *condition = value.read().ok();
    condition.is_some()
}
