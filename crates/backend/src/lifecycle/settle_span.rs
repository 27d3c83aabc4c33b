//! The span of a report that is being settled, and the log line of a report that is refused.

use domain::{Attempt, Reason, Report, SettleResult, Status, TaskId, TraceContext, WorkerName};
use telemetry::{Span, SpanKind};
use tracing::field::display;
use tracing::warn;

/// A span that is a child of the report's. If it is dropped without [`SettleSpan::end`], its status becomes an error.
pub(crate) struct SettleSpan {
    id: TaskId,
    attempt: Attempt,
    worker: WorkerName,
    trace: Option<TraceContext>,
    span: Option<Span>,
}

impl SettleSpan {
    /// Begins the span. Without `trace` there is none, and only the log line of a refusal remains.
    pub(crate) fn begin(report: &Report, worker: &WorkerName, trace: Option<TraceContext>) -> Self {
        let Report { id, attempt, .. } = *report;
        let span = trace.map(|trace| {
            let mut span = Span::begin("settle", SpanKind::Consumer, Some(trace));
            span.set_text_attribute("tasker.task.id", id);
            span.set_attribute("tasker.task.attempt", i64::from(attempt));
            span.set_text_attribute("tasker.worker.name", worker);
            span
        });
        Self { id, attempt, worker: worker.clone(), trace, span }
    }

    /// Ends the span with the result, and logs a refused report.
    pub(crate) fn end(mut self, settled: &SettleResult) {
        self.log_refusal(settled);
        let Some(mut span) = self.span.take() else { return };
        let (status, reason) = match settled {
            SettleResult::Finished => (Status::Finished, None),
            SettleResult::Cancelled { reason } => (Status::Cancelled, Some(*reason)),
            SettleResult::Late { .. } => (Status::Cancelled, Some(Reason::LateResult)),
            SettleResult::Retried { reason, .. } => (Status::Created, Some(*reason)),
            SettleResult::Released => (Status::Created, None),
            SettleResult::Stale | SettleResult::Unknown | SettleResult::Invalid { .. } => {
                return span.set_error("the report belongs to no current grant");
            }
        };
        span.set_attribute("tasker.task.status", status.as_str());
        if let Some(reason) = reason {
            span.set_attribute("tasker.task.reason", reason.as_str());
        }
    }

    fn log_refusal(&self, settled: &SettleResult) {
        let Self { id, attempt, worker, trace, .. } = self;
        let trace = trace.map(|trace| display(trace.id()));
        match settled {
            SettleResult::Late { late_by_ms } => {
                warn!(task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = trace, late_by_ms = *late_by_ms, "a report was refused because it came after the deadline");
            }
            SettleResult::Stale | SettleResult::Unknown | SettleResult::Invalid { .. } => {
                warn!(task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = trace, "a report was refused because it belongs to no current grant");
            }
            SettleResult::Finished
            | SettleResult::Cancelled { .. }
            | SettleResult::Retried { .. }
            | SettleResult::Released => {}
        }
    }
}

impl Drop for SettleSpan {
    fn drop(&mut self) {
        if let Some(span) = &mut self.span {
            span.set_error("the report was not settled");
        }
    }
}
