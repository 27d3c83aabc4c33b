//! The report of a benchmark, as text and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::commands::bench::benchmark_kind::BenchmarkKind;
use crate::commands::bench::load::{Load, Measured};
use crate::commands::bench::reconciliation::Reconciliation;
use crate::terminal;

/// The report of a benchmark. Durations are in milliseconds unless the name says otherwise.
#[derive(Serialize)]
pub struct Report<'a> {
    /// `submit`, `run` or `ttl`.
    bench: &'static str,
    #[serde(skip)]
    kind: BenchmarkKind,
    #[serde(rename = "type")]
    name: String,
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
    reconciliation: &'a Reconciliation,
    /// Whether every accepted task exists and has ended.
    complete: bool,
}

/// Percentiles of the measured durations, in milliseconds.
#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Percentiles {
    fn of(durations: &Histogram<u64>) -> Self {
        let at = |quantile| millis(durations.value_at_quantile(quantile));
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: millis(durations.max()) }
    }
}

impl<'a> Report<'a> {
    /// The report of a load and of the reconciliation after it.
    pub fn of(
        kind: BenchmarkKind,
        load: &Load,
        measured: &'a Measured,
        reconciliation: &'a Reconciliation,
    ) -> Self {
        let seconds = measured.took.as_secs_f64();
        Self {
            bench: kind.command(),
            kind,
            name: load.name.to_string(),
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
            reconciliation,
            complete: reconciliation.is_complete(),
        }
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let Self { bench, name, seconds, per_second, times, .. } = self;
        let load = match (self.concurrency, self.rate) {
            (_, Some(rate)) => format!("{rate} a second"),
            (concurrency, None) => format!("{} at a time", concurrency.unwrap_or_default()),
        };
        let duration = self.kind.description();
        let mut text = format!("{bench} {name}, {load}, {seconds:.1} s: {per_second:.0} tasks a second\n");
        let Percentiles { p50, p90, p99, p999, max } = times;
        let _ = writeln!(
            text,
            "{duration}, ms: p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p999:.1}, max {max:.1}"
        );
        for (count, what) in
            [(self.refused, "refused (503)"), (self.errors, "errors"), (self.missed, "not submitted in time")]
        {
            if count > 0 {
                let _ = writeln!(text, "{what}: {count}");
            }
        }
        if let Some(error) = self.last_error {
            let _ = writeln!(text, "the last error: {}", terminal::escape_line(error));
        }
        text + &self.reconciliation_line()
    }

    fn reconciliation_line(&self) -> String {
        let Reconciliation { accepted, ends, open, lost, unexpected } = self.reconciliation;
        let ends = ends.iter().map(|(end, count)| (*count, *end));
        let parts = ends.chain([(*open, "not ended"), (*lost, "LOST")]);
        let parts: Vec<String> =
            parts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let mut line = format!("tasks: {accepted} accepted = {}", parts.join(" + "));
        if !self.complete {
            line.push_str(": NOT ALL HAVE ENDED");
        } else if *unexpected > 0 {
            let _ = write!(line, ": nothing was lost, {unexpected} did not end as expected");
        }
        line
    }
}

/// Microseconds as milliseconds.
fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}
