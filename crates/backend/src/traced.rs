//! The trace that a request belongs to, and the steps of a task's trace that a Backend takes.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use domain::{Attempt, Reason, Report, Settled, Status, TaskId, Trace, WorkerName};
use spans::{Kind, Span};
use tracing::field::display;
use tracing::warn;

use crate::figures;

/// Where traces begin: elsewhere a request is a part of its caller's trace, or of none.
const BEGINS: (&str, &str) = ("POST", "/api/Task");

/// The step that answers this request. `None`: nobody traces it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traced(pub(crate) Option<Trace>);

impl<S: Send + Sync> FromRequestParts<S> for Traced {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// Answers a request as a step of its caller's trace; a submission without one begins one. A header that is none is as good
/// as absent (W3C Trace Context, 3.2.2).
pub(crate) async fn request(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(Trace::HEADER).and_then(|value| value.to_str().ok());
    let given: Option<Trace> = given.and_then(|text| text.parse().ok());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let method = figures::word(request.method());
    if given.is_none() && (method, route) != BEGINS {
        return next.run(request).await;
    }
    let mut step = Span::begin(format!("{method} {route}"), Kind::Server, given);
    step.note("http.request.method", method);
    step.note_text("http.route", route);
    request.extensions_mut().insert(Traced(step.trace()));
    let response = next.run(request).await;
    let status = response.status();
    step.note("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        step.failed(status.to_string());
    }
    response
}

/// A report that is being settled, and the step of its trace that settles it.
pub(crate) struct Settling {
    id: TaskId,
    attempt: Attempt,
    worker: WorkerName,
    trace: Option<Trace>,
    /// Dropped before its end, it has not settled the report.
    step: Option<Span>,
}

impl Settling {
    /// A part of the step that reported, if anybody traces the task.
    pub(crate) fn begin(report: &Report, worker: &WorkerName, trace: Option<Trace>) -> Self {
        let Report { id, attempt, .. } = *report;
        let step = trace.map(|trace| {
            let mut step = Span::begin("settle", Kind::Consumer, Some(trace));
            step.note_text("tasker.task.id", id);
            step.note("tasker.task.attempt", i64::from(attempt));
            step.note_text("tasker.worker.name", worker);
            step
        });
        Self { id, attempt, worker: worker.clone(), trace, step }
    }

    /// It has become of it what `settled` says; the log has it if that is unusual.
    pub(crate) fn end(mut self, settled: Settled) {
        self.log(settled);
        let Some(mut step) = self.step.take() else { return };
        let (status, reason) = match settled {
            Settled::Finished => (Status::Finished, None),
            Settled::Cancelled { reason } => (Status::Cancelled, Some(reason)),
            Settled::Late { .. } => (Status::Cancelled, Some(Reason::LateResult)),
            Settled::Released => (Status::Created, None),
            Settled::Stale | Settled::Unknown => return step.failed("the report speaks for no grant"),
        };
        step.note("tasker.task.status", status.as_str());
        if let Some(reason) = reason {
            step.note("tasker.task.reason", reason.as_str());
        }
    }

    fn log(&self, settled: Settled) {
        let Self { id, attempt, worker, trace, .. } = self;
        let trace = trace.map(|trace| display(trace.id()));
        match settled {
            Settled::Late { late_by_ms } => {
                warn!(task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = trace, late_by_ms, "a report came too late and was refused");
            }
            Settled::Stale | Settled::Unknown => {
                warn!(task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = trace, "a report spoke for no grant and was refused");
            }
            Settled::Finished | Settled::Cancelled { .. } | Settled::Released => {}
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        if let Some(step) = &mut self.step {
            step.failed("not settled now");
        }
    }
}
