//! The report of a burst of deadlines, as text and as JSON.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use domain::Timestamp;
use serde::Serialize;

use crate::commands::bench::benchmark_kind::BenchmarkKind;
use crate::commands::bench::measured::{new_histogram, record};
use crate::commands::bench::probe::Probe;
use crate::commands::bench::reconciliation::{Reconciliation, TaskEnd};
use crate::commands::bench::report::Percentiles;

/// The report of a burst. Durations are in milliseconds.
#[derive(Serialize)]
pub struct BurstReport {
    bench: &'static str,
    tasks: usize,
    /// From the first deadline to the last.
    deadlines_within: f64,
    /// From the first deadline to the last end.
    all_ended_within: f64,
    /// How long after its deadline each task ended.
    times: Percentiles,
    /// Readings of a task.
    reads: RequestTimes,
    /// Submissions.
    submissions: RequestTimes,
    reconciliation: Reconciliation,
}

/// How long requests took.
#[derive(Serialize)]
struct RequestTimes {
    /// While the tasks were running.
    before: Percentiles,
    /// While they were ended.
    during: Percentiles,
    /// The median of the latter, divided by that of the former.
    ratio_p50: f64,
    /// The same of the 99th percentiles.
    ratio_p99: f64,
}

impl RequestTimes {
    /// The times of the requests of a probe, while the tasks were ended from `start` to `end`.
    fn of(probe: &Probe, start: Instant, end: Instant) -> Self {
        let (before, during) = (probe.before(start), probe.during(start, end));
        let (before, during) = (Percentiles::of(&before), Percentiles::of(&during));
        let (ratio_p50, ratio_p99) = (during.p50 / before.p50, during.p99 / before.p99);
        Self { before, during, ratio_p50, ratio_p99 }
    }
}

impl BurstReport {
    /// The report of tasks that have ended so, the first of whose deadlines was at `deadline`, and of other requests.
    pub fn of(ends: &[Option<TaskEnd>], deadline: Instant, reads: &Probe, submissions: &Probe) -> Self {
        let mut lateness = new_histogram();
        let dates: Vec<(Timestamp, Timestamp)> =
            ends.iter().flatten().filter_map(|end| end.deadline.zip(end.end)).collect();
        for (deadline, end) in &dates {
            record(&mut lateness, between(*deadline, *end));
        }
        let first_deadline = dates.iter().map(|(deadline, _)| *deadline).min();
        let since_first = |last: Option<Timestamp>| {
            first_deadline.zip(last).map_or(Duration::ZERO, |(first, last)| between(first, last))
        };
        let last_deadline = dates.iter().map(|(deadline, _)| *deadline).max();
        let last_end = dates.iter().map(|(_, end)| *end).max();
        let all_ended_within = since_first(last_end);
        let requests = |probe| RequestTimes::of(probe, deadline, deadline + all_ended_within);
        Self {
            bench: "burst",
            tasks: ends.len(),
            deadlines_within: since_first(last_deadline).as_secs_f64() * 1000.0,
            all_ended_within: all_ended_within.as_secs_f64() * 1000.0,
            times: Percentiles::of(&lateness),
            reads: requests(reads),
            submissions: requests(submissions),
            reconciliation: Reconciliation::of(ends, BenchmarkKind::Lateness),
        }
    }

    /// Whether every task has ended by its deadline.
    pub fn is_success(&self) -> bool {
        self.reconciliation.is_as_expected()
    }

    /// The report as text.
    pub fn table(&self) -> String {
        let Self { tasks, deadlines_within, all_ended_within, times, .. } = self;
        let mut text = format!(
            "burst of {tasks} tasks: deadlines within {deadlines_within:.0} ms, all ended within {all_ended_within:.0} ms\n"
        );
        let _ = writeln!(text, "{}, ms: {times}", BenchmarkKind::Lateness.description());
        for (what, requests) in [("reading a task", &self.reads), ("submission", &self.submissions)] {
            let RequestTimes { before, during, ratio_p50, ratio_p99 } = requests;
            let _ = writeln!(text, "{what}, before, ms: {before}");
            let _ = writeln!(text, "{what}, meanwhile, ms: {during}");
            let _ = writeln!(text, "{what}, times as long: p50 {ratio_p50:.1}, p99 {ratio_p99:.1}");
        }
        text + &self.reconciliation.line()
    }
}

fn between(start: Timestamp, end: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(end.micros_since(start)).unwrap_or(0))
}
