//! What is counted and measured: the name of a figure, its kind, and what it says.

/// How a figure behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only rises, until the process starts anew.
    Counter,
    /// It is what it is now.
    Gauge,
    /// How often it was how much.
    Histogram,
}

/// A figure, as its readers know it. Its name ends in its unit; a counter's in `_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDescriptor {
    /// The name, with its labels left out.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// Its labels, with commas between them.
    pub labels: &'static str,
    /// What it says, as a phrase.
    pub about: &'static str,
}

impl MetricDescriptor {
    /// One that only rises.
    pub const fn counter(name: &'static str, labels: &'static str, about: &'static str) -> Self {
        Self { name, kind: MetricKind::Counter, labels, about }
    }

    /// One that is what it is now.
    pub const fn gauge(name: &'static str, labels: &'static str, about: &'static str) -> Self {
        Self { name, kind: MetricKind::Gauge, labels, about }
    }

    /// One that tells how often it was how much.
    pub const fn histogram(name: &'static str, labels: &'static str, about: &'static str) -> Self {
        Self { name, kind: MetricKind::Histogram, labels, about }
    }
}

impl MetricKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}
