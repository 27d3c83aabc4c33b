//! The metrics of a worker.

use std::time::{Duration, Instant};

use domain::{ExecutionIsolation, TypeName};
use metrics::{counter, gauge, histogram};
use telemetry::MetricDescriptor;

const SLOTS: &str = "tasker_worker_slots";
const SLOTS_BUSY: &str = "tasker_worker_slots_busy";
const RUNS: &str = "tasker_worker_runs_total";
const RUN_SECONDS: &str = "tasker_worker_run_seconds";
const STOP_LATENESS: &str = "tasker_worker_stop_lateness_seconds";
const UNCONFIRMED_STOPS: &str = "tasker_worker_stops_unconfirmed_total";
const BLOCKED_OPERATIONS: &str = "tasker_worker_operations_blocked_total";
const UNSETTLED_REPORTS: &str = "tasker_worker_reports_unsettled";

/// Every metric that a worker records, with its labels and its meaning.
pub const METRICS: &[MetricDescriptor] = &[
    MetricDescriptor::gauge(SLOTS, "", "tasks that the worker can run at once"),
    MetricDescriptor::gauge(SLOTS_BUSY, "", "tasks that the worker is running"),
    MetricDescriptor::counter(
        RUNS,
        "type, end",
        "runs that have ended: `result`, `failed`, `out_of_time`, `stopped`, `released`",
    ),
    MetricDescriptor::histogram(RUN_SECONDS, "type", "duration of a run"),
    MetricDescriptor::histogram(
        STOP_LATENESS,
        "isolation",
        "time from a deadline until the work of its attempt had stopped, with all processes",
    ),
    MetricDescriptor::counter(
        UNCONFIRMED_STOPS,
        "isolation",
        "attempts whose work may go on: processes that could not be killed, or code that blocks its thread",
    ),
    MetricDescriptor::counter(
        BLOCKED_OPERATIONS,
        "type",
        "runs of operations of the level `async` that blocked their thread for a second or longer",
    ),
    MetricDescriptor::gauge(UNSETTLED_REPORTS, "", "reports that no Backend has settled yet"),
];

/// The values of the label `end`.
const RUN_END_LABEL_VALUES: [&str; 5] = ["result", "failed", "out_of_time", "stopped", "released"];

/// Starts the counters of the runs of an operation at 0: the rate of a series that begins with its first event is not known.
pub(crate) fn start_counters(name: &TypeName) {
    for end in RUN_END_LABEL_VALUES {
        counter!(RUNS, "type" => name.to_string(), "end" => end).increment(0);
    }
    counter!(BLOCKED_OPERATIONS, "type" => name.to_string()).increment(0);
}

/// Records how long after its deadline the work of an attempt had stopped.
pub(crate) fn record_stop_lateness(isolation: ExecutionIsolation, lateness: Duration) {
    histogram!(STOP_LATENESS, "isolation" => isolation.as_str()).record(lateness);
}

/// Counts a run that blocks its thread.
pub(crate) fn count_blocked_operation(name: &TypeName) {
    counter!(BLOCKED_OPERATIONS, "type" => name.to_string()).increment(1);
}

/// Counts an attempt whose work may go on.
pub(crate) fn count_unconfirmed_stop(isolation: ExecutionIsolation) {
    counter!(UNCONFIRMED_STOPS, "isolation" => isolation.as_str()).increment(1);
}

/// Starts the metrics of a worker with so many slots: the counters of unconfirmed stops begin at 0.
pub(crate) fn start_worker(slots: u32) {
    for isolation in ExecutionIsolation::ALL {
        counter!(UNCONFIRMED_STOPS, "isolation" => isolation.as_str()).increment(0);
    }
    gauge!(SLOTS).set(slots);
}

/// Sets how many reports are not settled.
pub(crate) fn set_unsettled_reports(reports: usize) {
    gauge!(UNSETTLED_REPORTS).set(f64::from(u32::try_from(reports).unwrap_or(u32::MAX)));
}

/// Measures one run of an operation. Its slot counts as busy until this is dropped.
pub(crate) struct RunMetrics<'a> {
    name: &'a TypeName,
    started: Instant,
}

impl<'a> RunMetrics<'a> {
    /// Starts to measure a run of the operation `name`.
    pub(crate) fn start(name: &'a TypeName) -> Self {
        gauge!(SLOTS_BUSY).increment(1);
        Self { name, started: Instant::now() }
    }

    /// Records the run's duration and, under the label `end`, how it ended.
    pub(crate) fn finish(self, end: &'static str) {
        counter!(RUNS, "type" => self.name.to_string(), "end" => end).increment(1);
        histogram!(RUN_SECONDS, "type" => self.name.to_string()).record(self.started.elapsed());
    }
}

impl Drop for RunMetrics<'_> {
    fn drop(&mut self) {
        gauge!(SLOTS_BUSY).decrement(1);
    }
}
