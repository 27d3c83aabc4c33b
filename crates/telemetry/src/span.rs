//! Spans of a task's trace, over OpenTelemetry. Each span is a child of the span before it, also across processes.
//!
//! Spans are recorded if the binary has installed a tracer provider; else they cost nothing. Processes pass a [`TraceContext`] on
//! in the header `traceparent` of HTTP requests and Kafka messages.

use std::borrow::Cow;
use std::fmt;

use domain::TraceContext;
/// The role of a span: server, client, producer, consumer or internal.
pub use opentelemetry::trace::SpanKind;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value, global};

/// OpenTelemetry's instrumentation scope.
const SCOPE: &str = "tasker";

/// A span of a trace; it ends when it is dropped.
pub struct Span(global::BoxedSpan);

impl Span {
    /// Begins a span as a child of `parent`; without one it is the root of a new trace.
    pub fn begin(name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<TraceContext>) -> Self {
        let tracer = global::tracer(SCOPE);
        let parent_context = parent
            .map_or_else(Context::new, |trace| Context::new().with_remote_span_context(span_context(trace)));
        Self(tracer.span_builder(name).with_kind(kind).start_with_context(&tracer, &parent_context))
    }

    /// The trace context for child spans; `None` if there is no trace. If spans are not recorded here, it is the parent's
    /// context, so that later processes continue the trace.
    pub fn trace_context(&self) -> Option<TraceContext> {
        let context = self.0.span_context();
        context.is_valid().then(|| {
            let id = u128::from_be_bytes(context.trace_id().to_bytes());
            let span = u64::from_be_bytes(context.span_id().to_bytes());
            TraceContext::of(id, span, context.is_sampled())
        })?
    }

    /// Sets an attribute, named by OpenTelemetry's semantic conventions where they have a name.
    pub fn set_attribute(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.0.is_recording() {
            self.0.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Sets an attribute to the text of `value`, which is formatted only if the span is recorded.
    pub fn set_text_attribute(&mut self, key: &'static str, value: impl fmt::Display) {
        if self.0.is_recording() {
            self.0.set_attribute(KeyValue::new(key, value.to_string()));
        }
    }

    /// Sets the span's status to an error, with a description.
    pub fn set_error(&mut self, description: impl Into<Cow<'static, str>>) {
        self.0.set_status(Status::error(description));
    }
}

fn span_context(trace: TraceContext) -> SpanContext {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    let (id, span) = (TraceId::from(trace.raw_id()), SpanId::from(trace.raw_span()));
    SpanContext::new(id, span, flags, true, TraceState::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_tracer_the_parents_context_is_passed_on_and_no_trace_begins() {
        let parent: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        assert_eq!(Span::begin("run", SpanKind::Consumer, Some(parent)).trace_context(), Some(parent));
        assert_eq!(Span::begin("run", SpanKind::Consumer, None).trace_context(), None);
    }
}
