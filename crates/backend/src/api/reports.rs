//! `POST /api/Task/results`: a worker reports results, failures and releases.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::limits::MAX_REPORTS_PER_REQUEST;
use domain::{Reports, SettleResult};
use futures_util::future::join_all;

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::body::RequestBody;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::settle_span::SettleSpan;

/// Report results, failures and releases of granted tasks
///
/// Each report is answered with what became of it, in the order of the reports. A report may be sent again: the answer is
/// then the same.
#[utoipa::path(post, path = "/api/Task/results", operation_id = "reportResults", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), request_body = Reports,
    responses((status = 200, body = Vec<SettleResult>, description = "What became of each report"),
        (status = 400, description = "The body is not JSON"), (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn report(
    State(app): State<Arc<AppState>>,
    _: WorkerCaller,
    body: RequestBody,
) -> Result<Json<Vec<SettleResult>>, ApiError> {
    let Reports { worker, reports } = body.parse()?;
    if reports.len() > MAX_REPORTS_PER_REQUEST {
        let rule = format!("at most {MAX_REPORTS_PER_REQUEST} reports");
        return Err(ApiError::invalid("too-many-reports", "/reports", rule));
    }
    let spans: Vec<SettleSpan> =
        reports.iter().map(|report| SettleSpan::begin(report, &worker, report.trace)).collect();
    // If one report fails the whole request does, but not before the others are settled: sent again, those are answered as
    // before, and a worker that splits its batch finds the one that fails.
    let settled = join_all(reports.into_iter().map(|report| app.settler.settle(report))).await;
    for (span, settled) in spans.into_iter().zip(&settled) {
        if let Ok(settled) = settled {
            span.end(*settled);
        }
    }
    settled.into_iter().collect::<Result<_, _>>().map(Json)
}
