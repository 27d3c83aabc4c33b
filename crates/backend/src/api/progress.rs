//! `POST /api/Task/progress`: a worker reports how far its tasks are.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use domain::limits::MAX_PROGRESS_REPORTS_PER_REQUEST;
use domain::problem_types::workers::{PROGRESS_INVALID, TOO_MANY_REPORTS};
use domain::{Fault, ProgressReports};
use futures_util::future::try_join_all;
use store::AttributedProgress;

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::budgeted_body::BudgetedBody;
use crate::app::AppState;
use crate::error::ApiError;

/// Report the progress of running tasks
///
/// The last report of each task is shown with the task, and in its events. Send one for a task each second at most: of more than two in a
/// second some are dropped. A report about a task that the worker does not run any more has no effect.
#[utoipa::path(post, path = "/api/Task/progress", operation_id = "reportProgress", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), request_body = ProgressReports,
    responses((status = 204, description = "The reports are stored, or have no effect"),
        (status = 400, description = "The body is not JSON"), (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn report(
    State(app): State<Arc<AppState>>,
    WorkerCaller { subject, .. }: WorkerCaller,
    BudgetedBody(body, _reserved): BudgetedBody,
) -> Result<StatusCode, ApiError> {
    let ProgressReports { worker, progress } = body.parse()?;
    if progress.len() > MAX_PROGRESS_REPORTS_PER_REQUEST {
        let rule = format!("at most {MAX_PROGRESS_REPORTS_PER_REQUEST} reports");
        return Err(ApiError::invalid(&TOO_MANY_REPORTS, "/progress", rule));
    }
    let faults = progress.iter().enumerate().filter_map(|(index, report)| {
        let (member, detail) = report.fault()?;
        Some(Fault { pointer: format!("/progress/{index}/{member}"), detail })
    });
    let faults: Vec<Fault> = faults.collect();
    if !faults.is_empty() {
        return Err(ApiError::Invalid { of: &PROGRESS_INVALID, faults });
    }
    let attributed =
        progress.into_iter().map(|report| AttributedProgress { worker: worker.clone(), subject, report });
    try_join_all(attributed.map(|report| app.progress.execute(report))).await?;
    Ok(StatusCode::NO_CONTENT)
}
