//! The Backend's metrics.

use std::time::{Duration, Instant};

use domain::{Reason, RetryPolicy, SettleResult, Status, TypeName};
use metrics::{counter, gauge, histogram};
use store::{EndedTask, Health, TypeLoad};
use telemetry::MetricDescriptor;

const ACCEPTED: &str = "tasker_tasks_accepted_total";
const GRANTED: &str = "tasker_tasks_granted_total";
const ENDED: &str = "tasker_tasks_ended_total";
const RETRIED: &str = "tasker_attempts_retried_total";
const REPORTS_REFUSED: &str = "tasker_reports_refused_total";
const CANCELLATION_LATENESS: &str = "tasker_cancellation_lateness_seconds";
const REPORT_LATENESS: &str = "tasker_report_lateness_seconds";
const BATCH_ITEMS: &str = "tasker_batch_items";
const STATEMENT_SECONDS: &str = "tasker_statement_seconds";
const OVER_LIMIT: &str = "tasker_submissions_over_owner_limit_total";
const BATCHER_FULL: &str = "tasker_batcher_queue_full_total";
pub(crate) const REQUEST_SECONDS: &str = "tasker_http_request_seconds";
const READY: &str = "tasker_tasks_ready";
const READY_AGE: &str = "tasker_tasks_ready_age_seconds";
const RUNNING: &str = "tasker_tasks_running";
const WORKERS: &str = "tasker_workers";
const SLOTS: &str = "tasker_registered_worker_slots";
const CLOCK_OFFSET: &str = "tasker_database_clock_offset_seconds";
const DEAD_ROWS: &str = "tasker_database_unfinished_task_dead_rows";
const OLDEST_SNAPSHOT: &str = "tasker_database_oldest_snapshot_seconds";

/// Every metric of the Backend.
pub const METRICS: &[MetricDescriptor] = &[
    MetricDescriptor::counter(ACCEPTED, "", "tasks that were accepted"),
    MetricDescriptor::counter(
        OVER_LIMIT,
        "",
        "submissions that were refused because their owner has too many unfinished tasks",
    ),
    MetricDescriptor::counter(
        GRANTED,
        "way",
        "tasks that were granted: by `id` (a ticket, PATCH) or by `pull`",
    ),
    MetricDescriptor::counter(
        ENDED,
        "status, reason",
        "tasks that this Backend has ended; a repeated report counts again",
    ),
    MetricDescriptor::counter(
        RETRIED,
        "reason",
        "attempts that did not finish their tasks, which are tried again; a repeated report counts again",
    ),
    MetricDescriptor::counter(
        REPORTS_REFUSED,
        "why",
        "reports that were refused: `late`, `stale` (of an earlier grant), `unknown` (no such task), `invalid` (unreadable)",
    ),
    MetricDescriptor::histogram(
        CANCELLATION_LATENESS,
        "",
        "how long after its deadline a task was cancelled",
    ),
    MetricDescriptor::histogram(
        REPORT_LATENESS,
        "",
        "how long after its deadline a result came, of the results that were refused as late",
    ),
    MetricDescriptor::histogram(
        BATCH_ITEMS,
        "verb",
        "items of a statement: `submit`, `claim` (by id), `settle`, `pull` (claim by type)",
    ),
    MetricDescriptor::histogram(STATEMENT_SECONDS, "verb", "how long a statement took, its commit included"),
    MetricDescriptor::counter(
        BATCHER_FULL,
        "verb",
        "items that were refused because too many were waiting for the database",
    ),
    MetricDescriptor::histogram(
        REQUEST_SECONDS,
        "method, route, status",
        "how long a request took, including the time that it asked to wait",
    ),
    MetricDescriptor::gauge(READY, "type", "tasks that wait for a worker"),
    MetricDescriptor::gauge(READY_AGE, "type", "how long the oldest ready task has waited"),
    MetricDescriptor::gauge(RUNNING, "type", "tasks that run"),
    MetricDescriptor::gauge(WORKERS, "", "the live workers: those whose heartbeats have not stopped"),
    MetricDescriptor::gauge(
        SLOTS,
        "type",
        "how many tasks of a registered type the live workers can run at once",
    ),
    MetricDescriptor::gauge(CLOCK_OFFSET, "", "how far the database's clock is ahead of this process's"),
    MetricDescriptor::gauge(DEAD_ROWS, "", "dead rows of the table of unfinished tasks (PostgreSQL)"),
    MetricDescriptor::gauge(
        OLDEST_SNAPSHOT,
        "",
        "age of the oldest snapshot, which keeps dead rows from being removed (PostgreSQL)",
    ),
];

/// The values of the label `why` of the reports that were refused.
const REFUSALS: [&str; 4] = ["late", "stale", "unknown", "invalid"];

/// Starts the counters at 0. The rate of a series that begins with its first event is not known, so no alert would fire for it.
pub(crate) fn start_counters() {
    counter!(OVER_LIMIT).increment(0);
    accepted(0);
    granted("id", 0);
    granted("pull", 0);
    count_ended(Status::Finished, None, 0);
    for reason in Reason::ALL {
        count_ended(Status::Cancelled, Some(*reason), 0);
    }
    for reason in RetryPolicy::REASONS {
        counter!(RETRIED, "reason" => reason.as_str()).increment(0);
    }
    for why in REFUSALS {
        counter!(REPORTS_REFUSED, "why" => why).increment(0);
    }
}

/// Starts the counter of the items of `verb` that its batcher refuses, as [`start_counters`] does.
pub(crate) fn start_batcher_counter(verb: &'static str) {
    counter!(BATCHER_FULL, "verb" => verb).increment(0);
}

/// A submission was refused because its owner has too many unfinished tasks.
pub(crate) fn over_limit() {
    counter!(OVER_LIMIT).increment(1);
}

/// Tasks were accepted.
pub(crate) fn accepted(tasks: usize) {
    counter!(ACCEPTED).increment(count(tasks));
}

/// Tasks were granted in the `way` `id` or `pull`.
pub(crate) fn granted(way: &'static str, tasks: usize) {
    counter!(GRANTED, "way" => way).increment(count(tasks));
}

/// A statement of `verb` over so many items has ended.
pub(crate) fn statement(verb: &'static str, items: usize, began: Instant) {
    histogram!(BATCH_ITEMS, "verb" => verb).record(count_as_f64(items));
    histogram!(STATEMENT_SECONDS, "verb" => verb).record(began.elapsed());
}

/// An item of `verb` was refused because its batcher was full.
pub(crate) fn batcher_full(verb: &'static str) {
    counter!(BATCHER_FULL, "verb" => verb).increment(1);
}

/// A report was settled.
pub(crate) fn settled(settled: &SettleResult) {
    match settled {
        SettleResult::Finished => ended(Status::Finished, None),
        SettleResult::Cancelled { reason } => ended(Status::Cancelled, Some(*reason)),
        SettleResult::Late { late_by_ms } => {
            ended(Status::Cancelled, Some(Reason::LateResult));
            refused("late");
            histogram!(REPORT_LATENESS).record(Duration::from_millis(*late_by_ms));
        }
        SettleResult::Stale => refused("stale"),
        SettleResult::Unknown => refused("unknown"),
        SettleResult::Invalid { .. } => refused("invalid"),
        SettleResult::Retried { reason, .. } => retried(*reason),
        SettleResult::Released => {}
    }
}

/// A task was cancelled otherwise than by a report: by its owner, its deadline, or the loss of its worker.
pub(crate) fn cancelled(task: &EndedTask) {
    ended(Status::Cancelled, task.reason);
    if task.reason == Some(Reason::TtlExpired) {
        histogram!(CANCELLATION_LATENESS)
            .record(Duration::from_micros(u64::try_from(task.late_us).unwrap_or(0)));
    }
}

/// An attempt has ended for `reason`, and its task is tried again.
pub(crate) fn retried(reason: Reason) {
    counter!(RETRIED, "reason" => reason.as_str()).increment(1);
}

fn ended(status: Status, reason: Option<Reason>) {
    count_ended(status, reason, 1);
}

fn count_ended(status: Status, reason: Option<Reason>, tasks: u64) {
    let reason = reason.map_or("", Reason::as_str);
    counter!(ENDED, "status" => status.as_str(), "reason" => reason).increment(tasks);
}

fn refused(why: &'static str) {
    counter!(REPORTS_REFUSED, "why" => why).increment(1);
}

/// Sets the gauge of live workers.
pub(crate) fn live_workers(workers: usize) {
    gauge!(WORKERS).set(count_as_f64(workers));
}

/// Sets the gauges of one type: `load` is `None` if it has no tasks; `slots` are those of the live workers.
pub(crate) fn type_load(name: &TypeName, load: Option<&TypeLoad>, slots: u64) {
    let name = name.to_string();
    gauge!(READY, "type" => name.clone()).set(load.map_or(0.0, |load| as_f64(load.ready)));
    gauge!(READY_AGE, "type" => name.clone()).set(load.map_or(0.0, |load| load.oldest.as_secs_f64()));
    gauge!(RUNNING, "type" => name.clone()).set(load.map_or(0.0, |load| as_f64(load.running)));
    gauge!(SLOTS, "type" => name).set(as_f64(slots));
}

/// Sets the gauges of the database itself.
pub(crate) fn database_health(health: &Health) {
    gauge!(CLOCK_OFFSET).set(health.clock_offset);
    if let Some(table) = &health.table {
        gauge!(DEAD_ROWS).set(as_f64(table.dead_rows));
        gauge!(OLDEST_SNAPSHOT).set(table.oldest_snapshot.as_secs_f64());
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

fn count_as_f64(items: usize) -> f64 {
    as_f64(count(items))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn as_f64(items: u64) -> f64 {
    items as f64
}
