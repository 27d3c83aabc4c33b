//! What every crate needs in order to be observed: spans, metric descriptors, error chains, and a log of outages.

mod error_chain;
mod metric_descriptor;
mod outage_log;
mod span;

pub use crate::error_chain::error_chain;
pub use crate::metric_descriptor::{MetricDescriptor, MetricKind};
pub use crate::outage_log::{Outage, OutageLog};
pub use crate::span::{Span, SpanKind};
