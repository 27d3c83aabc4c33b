//! The description of a metric: its name, kind and labels.

/// The kind of a metric, as in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A count that only rises, from 0 at the start of the process.
    Counter,
    /// A current value that rises and falls.
    Gauge,
    /// A distribution of values in buckets.
    Histogram,
}

/// The description of a metric. The name of a metric with a unit ends in the unit, and that of a counter in `_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDescriptor {
    /// The name without labels.
    pub name: &'static str,
    /// The metric's kind.
    pub kind: MetricKind,
    /// The names of the labels, separated by commas.
    pub labels: &'static str,
    /// What is measured, as a phrase for the help text.
    pub about: &'static str,
}

impl MetricDescriptor {
    /// Describes a counter.
    pub const fn counter(name: &'static str, labels: &'static str, about: &'static str) -> Self {
        Self { name, kind: MetricKind::Counter, labels, about }
    }

    /// Describes a gauge.
    pub const fn gauge(name: &'static str, labels: &'static str, about: &'static str) -> Self {
        Self { name, kind: MetricKind::Gauge, labels, about }
    }

    /// Describes a histogram.
    pub const fn histogram(name: &'static str, labels: &'static str, about: &'static str) -> Self {
        Self { name, kind: MetricKind::Histogram, labels, about }
    }
}

impl MetricKind {
    /// The kind's name in Prometheus' text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}
