//! Traces: the steps of a task as spans, each a part of the one before it, on whatever machine that was.
//!
//! A span goes where the binary has installed a tracer, else nowhere, at no cost. What travels between the steps is a
//! [`TraceContext`], in HTTP and in Kafka under the same name.

use std::borrow::Cow;
use std::fmt;

use domain::TraceContext;
/// On which side of whose way a step is.
pub use opentelemetry::trace::SpanKind;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value, global};

/// Who instruments, as OpenTelemetry calls it.
const SCOPE: &str = "tasker";

/// A step of a trace, from its beginning until it is dropped.
pub struct Span(global::BoxedSpan);

impl Span {
    /// A step begins: a part of `parent`, without it the first of a trace.
    pub fn begin(name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<TraceContext>) -> Self {
        let tracer = global::tracer(SCOPE);
        let before =
            parent.map_or_else(Context::new, |trace| Context::new().with_remote_span_context(context(trace)));
        Self(tracer.span_builder(name).with_kind(kind).start_with_context(&tracer, &before))
    }

    /// What the next step is a part of. `None`: nobody traces. Where nothing is recorded here it is what came, so that
    /// those who come later may go on with it.
    pub fn trace(&self) -> Option<TraceContext> {
        let context = self.0.span_context();
        context.is_valid().then(|| {
            let id = u128::from_be_bytes(context.trace_id().to_bytes());
            let span = u64::from_be_bytes(context.span_id().to_bytes());
            TraceContext::of(id, span, context.is_sampled())
        })?
    }

    /// Notes something of the step, under OpenTelemetry's name for it or under ours.
    pub fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.0.is_recording() {
            self.0.set_attribute(KeyValue::new(key, value));
        }
    }

    /// The same for what has a text.
    pub fn note_text(&mut self, key: &'static str, value: impl fmt::Display) {
        if self.0.is_recording() {
            self.0.set_attribute(KeyValue::new(key, value.to_string()));
        }
    }

    /// The step did not do what it was for.
    pub fn failed(&mut self, why: impl Into<Cow<'static, str>>) {
        self.0.set_status(Status::error(why));
    }
}

fn context(trace: TraceContext) -> SpanContext {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (id, span) = (TraceId::from(trace.raw_id()), SpanId::from(trace.raw_span()));
    SpanContext::new(id, span, flags, true, TraceState::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_traces_what_came_goes_on_and_nothing_begins() {
        let came: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        assert_eq!(Span::begin("run", SpanKind::Consumer, Some(came)).trace(), Some(came));
        assert_eq!(Span::begin("run", SpanKind::Consumer, None).trace(), None);
    }
}
