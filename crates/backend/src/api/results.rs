//! What workers report: results, failures, releases, and their signs of life.

use axum::Json as Body;
use axum::extract::State;
use domain::{Heartbeat, HeartbeatResponse, Report, ReportOutcome, Reports, SettleResult, WorkerList};
use futures_util::future::join_all;

use crate::api::middleware::timeout::RequestBody;
use crate::api::middleware::trace_context::SettleSpan;
use crate::api::task_body::read;
use crate::app::App;
use crate::auth::token_verifier::WorkerCaller;
use crate::background::deadline_sweeper;
use crate::error::ApiError;

/// The most reports of one request.
const MOST: usize = 1000;

/// The longest error text that is kept, in bytes.
const LONGEST_ERROR: usize = 16 * 1024;

/// Takes results, failures and releases; each is answered by what became of it, in order.
#[utoipa::path(post, path = "/api/Task/results", tag = "Service", security(("bearer" = [])), request_body = Reports,
    responses((status = 200, body = Vec<SettleResult>, description = "What became of each"),
        (status = 400, description = "The body is not JSON"), (status = 413, description = "The body is too large"),
        (status = 422, description = "A rule is broken; `errors` says which and where")))]
pub(crate) async fn report(
    State(app): State<App>,
    _: WorkerCaller,
    RequestBody(body): RequestBody,
) -> Result<Body<Vec<SettleResult>>, ApiError> {
    let Reports { worker, reports } = read(&body)?;
    if reports.len() > MOST {
        return Err(ApiError::invalid(
            "too-many-reports",
            "/reports",
            format!("at most {MOST} reports at once"),
        ));
    }
    let steps: Vec<_> =
        reports.iter().map(|report| SettleSpan::begin(report, &worker, report.trace)).collect();
    let limit = app.settings.max_result;
    // One that fails is the answer, but not before the others are settled: said again, they are answered as before, and
    // a worker that divides its batch finds the one.
    let settled = join_all(reports.into_iter().map(|report| app.settle.put(bounded(report, limit)))).await;
    for (step, settled) in steps.into_iter().zip(&settled) {
        if let Ok(settled) = settled {
            step.end(*settled);
        }
    }
    settled.into_iter().collect::<Result<_, _>>().map(Body)
}

/// A result that is too big is a failure of its task; an error text that is too long is cut.
pub(crate) fn bounded(report: Report, limit: usize) -> Report {
    let reported = match report.reported {
        ReportOutcome::Result(result) if result.text().len() > limit => ReportOutcome::Error(format!(
            "RESULT_TOO_LARGE: the result has {} bytes; at most {limit} are kept",
            result.text().len()
        )),
        ReportOutcome::Error(mut error) => {
            error.truncate(error.floor_char_boundary(LONGEST_ERROR));
            ReportOutcome::Error(error)
        }
        fine => fine,
    };
    Report { reported, ..report }
}

/// The workers that have been heard lately: what each runs, and how much of it at once.
#[utoipa::path(get, path = "/api/Worker", tag = "Service", security(("bearer" = [])),
    responses((status = 200, body = WorkerList)))]
pub(crate) async fn workers(State(app): State<App>, _: WorkerCaller) -> Result<Body<WorkerList>, ApiError> {
    Ok(Body(WorkerList { workers: app.store.workers().await? }))
}

/// A worker's sign of life; the answer names what it must stop. One that has sent heartbeats and falls silent loses its
/// tasks; so does one that has started anew, at its `first`.
#[utoipa::path(post, path = "/api/Worker/heartbeat", tag = "Service", security(("bearer" = [])), request_body = Heartbeat,
    responses((status = 200, body = HeartbeatResponse),
        (status = 400, description = "The body is not JSON"), (status = 413, description = "The body is too large"),
        (status = 422, description = "A rule is broken; `errors` says which and where")))]
pub(crate) async fn heartbeat(
    State(app): State<App>,
    _: WorkerCaller,
    RequestBody(body): RequestBody,
) -> Result<Body<HeartbeatResponse>, ApiError> {
    let beat: Heartbeat = read(&body)?;
    // Before it is heard as itself: what runs under its name now was granted to another process.
    if beat.first {
        let lost = app.store.end_tasks_of_worker(&beat.worker).await?;
        if !lost.is_empty() {
            tracing::warn!(worker.name = %beat.worker, tasks = lost.len(), "a worker has started anew; what its predecessor held is cancelled");
        }
        deadline_sweeper::tell(&app, &lost);
    }
    Ok(Body(HeartbeatResponse { stop: app.store.heartbeat(&beat).await? }))
}
