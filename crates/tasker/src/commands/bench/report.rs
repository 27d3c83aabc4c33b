//! What a measurement says, for eyes and for machines.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::commands::bench::Measure;
use crate::commands::bench::load::{Load, Measured};
use crate::commands::bench::reconciliation::Reconciliation;
use crate::terminal;

/// The report of a measurement. Times are milliseconds.
#[derive(Serialize)]
pub struct Report<'a> {
    /// `submit`, `run` or `ttl`.
    bench: &'static str,
    #[serde(skip)]
    measure: Measure,
    #[serde(rename = "type")]
    name: String,
    ttl_ms: u64,
    /// At a time; `null` where a rate was given.
    concurrency: Option<u32>,
    /// Wanted, a second.
    rate: Option<u32>,
    seconds: f64,
    per_second: f64,
    refused: u64,
    errors: u64,
    missed: u64,
    last_error: Option<&'a str>,
    times: Times,
    books: &'a Reconciliation,
    balance: bool,
}

/// How long it took.
#[derive(Serialize)]
struct Times {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Times {
    fn of(times: &Histogram<u64>) -> Self {
        let at = |quantile| millis(times.value_at_quantile(quantile));
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: millis(times.max()) }
    }
}

impl<'a> Report<'a> {
    pub(crate) fn of(
        measure: Measure,
        load: &Load,
        measured: &'a Measured,
        books: &'a Reconciliation,
    ) -> Self {
        let seconds = measured.took.as_secs_f64();
        Self {
            bench: measure.word(),
            measure,
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
            times: Times::of(&measured.times),
            books,
            balance: books.balance(),
        }
    }

    /// For eyes.
    pub fn table(&self) -> String {
        let Self { bench, name, seconds, per_second, times, books, .. } = self;
        let how = match (self.concurrency, self.rate) {
            (_, Some(rate)) => format!("{rate} a second"),
            (concurrency, None) => format!("{} at a time", concurrency.unwrap_or_default()),
        };
        let what = self.measure.times();
        let mut text = format!("{bench} {name}, {how}, {seconds:.1} s: {per_second:.0} tasks a second\n");
        let Times { p50, p90, p99, p999, max } = times;
        let _ = writeln!(
            text,
            "{what}, ms: p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p999:.1}, most {max:.1}"
        );
        for (count, what) in
            [(self.refused, "refused (503)"), (self.errors, "errors"), (self.missed, "not sent in time")]
        {
            if count > 0 {
                let _ = writeln!(text, "{what}: {count}");
            }
        }
        if let Some(error) = self.last_error {
            let _ = writeln!(text, "the last error: {}", terminal::plain(error));
        }
        let ends = books.ends.iter().map(|(end, count)| (*count, *end));
        let parts = ends.chain([(books.open, "not ended"), (books.lost, "LOST")]);
        let parts: Vec<String> =
            parts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let _ = write!(text, "books: {} accepted = {}", books.accepted, parts.join(" + "));
        if !self.balance {
            text.push_str(": THEY DO NOT BALANCE");
        } else if books.wrong > 0 {
            let _ = write!(text, ": nothing was lost, {} did not end as they should", books.wrong);
        }
        text
    }
}

/// Microseconds as milliseconds.
fn millis(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64() * 1000.0
}
