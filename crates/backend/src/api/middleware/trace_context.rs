//! The trace that a request belongs to, and the steps of a task's trace that a Backend takes.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use domain::{Attempt, Reason, Report, SettleResult, Status, TaskId, TraceContext, WorkerName};
use telemetry::{Span, SpanKind};
use tracing::field::display;
use tracing::warn;

use crate::metrics;

/// Where traces begin: elsewhere a request is a part of its caller's trace, or of none.
const BEGINS: (&str, &str) = ("POST", "/api/Task");

/// The step that answers this request. `None`: nobody traces it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestTrace(pub(crate) Option<TraceContext>);

impl<S: Send + Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// Answers a request as a step of its caller's trace; a submission without one begins one. A header that is none is as good
/// as absent (W3C Trace Context, 3.2.2).
pub(crate) async fn request(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(TraceContext::HEADER).and_then(|value| value.to_str().ok());
    let given: Option<TraceContext> = given.and_then(|text| text.parse().ok());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let method = metrics::word(request.method());
    if given.is_none() && (method, route) != BEGINS {
        return next.run(request).await;
    }
    let mut step = Span::begin(format!("{method} {route}"), SpanKind::Server, given);
    step.note("http.request.method", method);
    step.note_text("http.route", route);
    request.extensions_mut().insert(RequestTrace(step.trace()));
    let response = next.run(request).await;
    let status = response.status();
    step.note("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        step.failed(status.to_string());
    }
    response
}

/// A report that is being settled, and the step of its trace that settles it.
pub(crate) struct SettleSpan {
    id: TaskId,
    attempt: Attempt,
    worker: WorkerName,
    trace: Option<TraceContext>,
    /// Dropped before its end, it has not settled the report.
    step: Option<Span>,
}

impl SettleSpan {
    /// A part of the step that reported, if anybody traces the task.
    pub(crate) fn begin(report: &Report, worker: &WorkerName, trace: Option<TraceContext>) -> Self {
        let Report { id, attempt, .. } = *report;
        let step = trace.map(|trace| {
            let mut step = Span::begin("settle", SpanKind::Consumer, Some(trace));
            step.note_text("tasker.task.id", id);
            step.note("tasker.task.attempt", i64::from(attempt));
            step.note_text("tasker.worker.name", worker);
            step
        });
        Self { id, attempt, worker: worker.clone(), trace, step }
    }

    /// It has become of it what `settled` says; the log has it if that is unusual.
    pub(crate) fn end(mut self, settled: SettleResult) {
        self.log(settled);
        let Some(mut step) = self.step.take() else { return };
        let (status, reason) = match settled {
            SettleResult::Finished => (Status::Finished, None),
            SettleResult::Cancelled { reason } => (Status::Cancelled, Some(reason)),
            SettleResult::Late { .. } => (Status::Cancelled, Some(Reason::LateResult)),
            SettleResult::Released => (Status::Created, None),
            SettleResult::Stale | SettleResult::Unknown => {
                return step.failed("the report speaks for no grant");
            }
        };
        step.note("tasker.task.status", status.as_str());
        if let Some(reason) = reason {
            step.note("tasker.task.reason", reason.as_str());
        }
    }

    fn log(&self, settled: SettleResult) {
        let Self { id, attempt, worker, trace, .. } = self;
        let trace = trace.map(|trace| display(trace.id()));
        match settled {
            SettleResult::Late { late_by_ms } => {
                warn!(task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = trace, late_by_ms, "a report came too late and was refused");
            }
            SettleResult::Stale | SettleResult::Unknown => {
                warn!(task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = trace, "a report spoke for no grant and was refused");
            }
            SettleResult::Finished | SettleResult::Cancelled { .. } | SettleResult::Released => {}
        }
    }
}

impl Drop for SettleSpan {
    fn drop(&mut self) {
        if let Some(step) = &mut self.step {
            step.failed("not settled now");
        }
    }
}
