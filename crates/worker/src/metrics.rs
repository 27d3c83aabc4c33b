//! What a worker counts and measures.

use std::time::Instant;

use domain::TypeName;
use metrics::{counter, gauge, histogram};
use telemetry::MetricDescriptor;

const SLOTS: &str = "tasker_worker_slots";
const BUSY: &str = "tasker_worker_slots_busy";
const RUNS: &str = "tasker_worker_runs_total";
const RUN: &str = "tasker_worker_run_seconds";
const UNSETTLED: &str = "tasker_worker_reports_unsettled";

/// Everything that a worker counts and measures.
pub const METRICS: &[MetricDescriptor] = &[
    MetricDescriptor::gauge(SLOTS, "", "how many tasks it runs at once, at most"),
    MetricDescriptor::gauge(BUSY, "", "how many it runs now"),
    MetricDescriptor::counter(
        RUNS,
        "type, end",
        "runs that have ended: `result`, `failed`, `out_of_time`, `stopped`, `released`",
    ),
    MetricDescriptor::histogram(RUN, "type", "how long a run took"),
    MetricDescriptor::gauge(UNSETTLED, "", "reports that no Backend has taken yet"),
];

pub(crate) fn slots(slots: u32) {
    gauge!(SLOTS).set(slots);
}

pub(crate) fn unsettled(reports: usize) {
    gauge!(UNSETTLED).set(f64::from(u32::try_from(reports).unwrap_or(u32::MAX)));
}

/// A run that goes on. Dropped, its slot is free again.
pub(crate) struct Run<'a> {
    name: &'a TypeName,
    began: Instant,
}

impl<'a> Run<'a> {
    pub(crate) fn of(name: &'a TypeName) -> Self {
        gauge!(BUSY).increment(1);
        Self { name, began: Instant::now() }
    }

    pub(crate) fn ended(self, how: &'static str) {
        counter!(RUNS, "type" => self.name.to_string(), "end" => how).increment(1);
        histogram!(RUN, "type" => self.name.to_string()).record(self.began.elapsed());
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        gauge!(BUSY).decrement(1);
    }
}
