//! `POST /api/Task/results`: a worker reports results, failures and releases.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::limits::MAX_REPORTS_PER_REQUEST;
use domain::problem_types::workers::TOO_MANY_REPORTS;
use domain::{InstallationId, RawJson, Report, Reports, SettleResult, SubjectId, WorkerName, object_only};
use futures_util::future::join_all;
use serde::Deserialize;
use store::AttributedReport;

use crate::api::extract::authenticated::WorkerCaller;
use crate::api::extract::budgeted_body::BudgetedBody;
use crate::app::AppState;
use crate::error::ApiError;
use crate::lifecycle::settle_span::SettleSpan;
use crate::metrics;

object_only!(deserialize: ReceivedReports);

/// The body, whose reports are read one by one: one that cannot be read does not affect the others.
#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct ReceivedReports {
    worker: WorkerName,
    reports: Vec<RawJson>,
}

/// Report results, failures and releases of granted tasks
///
/// Each report is answered with what became of it, in the order of the reports. A report may be sent again: the answer is
/// then the same. A report that cannot be read is answered with `invalid`, and does not affect the others.
#[utoipa::path(post, path = "/api/Task/results", operation_id = "reportResults", tag = "Workers",
    security(("bearer" = ["Worker"]), ("bearer" = ["Admin"])), request_body = Reports,
    params(("Tasker-Installation" = Option<InstallationId>, Header, description = "The installation for which the request is, as a heartbeat's answer names it")),
    responses((status = 200, body = Vec<SettleResult>, description = "What became of each report"),
        (status = 400, description = "The body is not JSON"), (status = 413, description = "The body is too large"),
        (status = 421, description = "The Backend belongs to another installation than the request names"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn report(
    State(app): State<Arc<AppState>>,
    WorkerCaller { subject, .. }: WorkerCaller,
    BudgetedBody(body, _reserved): BudgetedBody,
) -> Result<Json<Vec<SettleResult>>, ApiError> {
    let ReceivedReports { worker, reports } = body.parse()?;
    if reports.len() > MAX_REPORTS_PER_REQUEST {
        let rule = format!("at most {MAX_REPORTS_PER_REQUEST} reports");
        return Err(ApiError::invalid(&TOO_MANY_REPORTS, "/reports", rule));
    }
    // If the database refuses one report the whole request fails, but not before the others are settled: sent again, those are
    // answered as before, and a worker that splits its batch finds the one that fails.
    let (distinct, indices) = without_copies(&reports);
    let settled = join_all(distinct.into_iter().map(|report| settle(&app, &worker, subject, report))).await;
    let settled: Vec<SettleResult> = settled.into_iter().collect::<Result<_, _>>()?;
    Ok(Json(indices.into_iter().map(|index| settled[index].clone()).collect()))
}

/// The reports of a request, each once, and for each place in the request the index of its report among them. Copies have the same
/// answer, and one statement cannot settle a task twice: each copy would cost a statement of its own.
fn without_copies(reports: &[RawJson]) -> (Vec<&RawJson>, Vec<usize>) {
    let (mut distinct, mut index_of) = (Vec::new(), HashMap::new());
    let index = |report| {
        *index_of.entry(RawJson::text(report)).or_insert_with(|| {
            distinct.push(report);
            distinct.len() - 1
        })
    };
    let indices = reports.iter().map(index).collect();
    (distinct, indices)
}

async fn settle(
    app: &AppState,
    worker: &WorkerName,
    subject: SubjectId,
    report: &RawJson,
) -> Result<SettleResult, ApiError> {
    let report: Report = match report.read() {
        Ok(report) => report,
        Err(error) => {
            tracing::warn!(worker.name = %worker, %error, "a report of worker {worker} cannot be read");
            let invalid = SettleResult::Invalid { detail: error.to_string() };
            metrics::settled(&invalid);
            return Ok(invalid);
        }
    };
    let span = SettleSpan::begin(&report, worker, report.trace);
    let attributed = AttributedReport { worker: worker.clone(), subject: Some(subject), report };
    let settled = app.settler.settle(attributed).await?;
    span.end(&settled);
    Ok(settled)
}
