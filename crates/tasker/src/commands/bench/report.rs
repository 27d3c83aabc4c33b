//! The report of a benchmark, as text and as JSON.

use std::fmt::{self, Write as _};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::commands::bench::benchmark_kind::BenchmarkKind;
use crate::commands::bench::isolation_level::IsolationLevel;
use crate::commands::bench::load::Load;
use crate::commands::bench::measured::Measured;
use crate::commands::bench::reconciliation::Reconciliation;
use crate::terminal;

/// The report of a benchmark. Durations are in milliseconds unless the name says otherwise.
#[derive(Serialize)]
pub struct Report<'a> {
    /// `submit`, `run`, `ttl` or `cancel`.
    bench: &'static str,
    #[serde(skip)]
    kind: BenchmarkKind,
    #[serde(rename = "type")]
    name: String,
    /// The isolation level, if the benchmark has run a server of its own.
    level: Option<IsolationLevel>,
    /// How many cores were kept busy meanwhile.
    busy_cores: usize,
    ttl_ms: u64,
    /// Tasks at a time; `null` if a rate was given.
    concurrency: Option<u32>,
    /// The requested tasks a second.
    rate: Option<u32>,
    seconds: f64,
    per_second: f64,
    refused: u64,
    errors: u64,
    missed: u64,
    last_error: Option<&'a str>,
    times: Percentiles,
    /// When the work has stopped, after the deadline or the request to cancel.
    stops: Option<Percentiles>,
    /// Tasks of which the server was not told that their work has stopped.
    unknown_stops: u64,
    reconciliation: &'a Reconciliation,
    /// Whether every accepted task exists and has ended.
    complete: bool,
    /// The cancellations that were measured after the deadlines.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel: Option<Box<Self>>,
}

/// The conditions of a measurement that are not those of its load.
#[derive(Debug, Clone, Copy)]
pub struct Conditions {
    /// The isolation level, if the benchmark runs a server of its own.
    pub level: Option<IsolationLevel>,
    /// How many cores are kept busy.
    pub busy_cores: usize,
}

/// Percentiles of measured durations, in milliseconds.
#[derive(Serialize)]
pub struct Percentiles {
    pub p50: f64,
    p90: f64,
    pub p99: f64,
    p999: f64,
    pub max: f64,
}

impl Percentiles {
    /// The percentiles of durations in microseconds.
    pub fn of(durations: &Histogram<u64>) -> Self {
        let at = |quantile| millis(durations.value_at_quantile(quantile));
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: millis(durations.max()) }
    }
}

impl<'a> Report<'a> {
    /// The report of a load and of the reconciliation after it.
    pub fn of(
        conditions: Conditions,
        load: &Load,
        measured: &'a Measured,
        reconciliation: &'a Reconciliation,
    ) -> Self {
        let (kind, seconds) = (load.kind, measured.took.as_secs_f64());
        Self {
            bench: kind.name(),
            kind,
            name: load.name.to_string(),
            level: conditions.level,
            busy_cores: conditions.busy_cores,
            ttl_ms: load.ttl.millis(),
            concurrency: load.rate.is_none().then_some(load.concurrency),
            rate: load.rate,
            seconds,
            per_second: f64::from(u32::try_from(measured.accepted.len()).unwrap_or(u32::MAX)) / seconds,
            refused: measured.refused,
            errors: measured.errors,
            missed: measured.missed,
            last_error: measured.last_error.as_deref(),
            times: Percentiles::of(&measured.durations),
            stops: kind.is_endless().then(|| Percentiles::of(&measured.stops)),
            unknown_stops: measured.unknown_stops,
            reconciliation,
            complete: reconciliation.is_complete(),
            cancel: None,
        }
    }

    /// The same report, with that of the cancellations.
    pub fn with_cancellations(self, cancel: Self) -> Self {
        Self { cancel: Some(Box::new(cancel)), ..self }
    }

    /// Whether every accepted task has ended as expected, and no request has failed.
    pub fn is_success(&self) -> bool {
        let own = self.reconciliation.is_as_expected() && self.errors == 0;
        own && self.cancel.as_ref().is_none_or(|cancel| cancel.is_success())
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let mut text = self.heading();
        let _ = writeln!(text, "{}, ms: {}", self.kind.description(), self.times);
        if let Some(stops) = &self.stops {
            let _ = writeln!(text, "{}, ms: {stops}", self.kind.stop_description());
        }
        for (count, what) in [
            (self.unknown_stops, "not known to have stopped"),
            (self.refused, "refused (503)"),
            (self.errors, "errors"),
            (self.missed, "not submitted in time"),
        ] {
            if count > 0 {
                let _ = writeln!(text, "{what}: {count}");
            }
        }
        if let Some(error) = self.last_error {
            let _ = writeln!(text, "the last error: {}", terminal::escape_line(error));
        }
        text.push_str(&self.reconciliation.line());
        if let Some(cancel) = &self.cancel {
            let _ = write!(text, "\n{}", cancel.table());
        }
        text
    }

    fn heading(&self) -> String {
        let Self { bench, name, seconds, per_second, .. } = self;
        let load = match (self.concurrency, self.rate) {
            (_, Some(rate)) => format!("{rate} a second"),
            (concurrency, None) => format!("{} at a time", concurrency.unwrap_or_default()),
        };
        let busy =
            if self.busy_cores > 0 { format!(", {} cores busy", self.busy_cores) } else { String::new() };
        format!("{bench} {name}, {load}{busy}, {seconds:.1} s: {per_second:.0} tasks a second\n")
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max } = self;
        write!(f, "p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p999:.1}, max {max:.1}")
    }
}

/// Microseconds as milliseconds.
fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}
