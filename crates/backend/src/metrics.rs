//! What a Backend counts and measures, and its samples of the database.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use database::DatabaseError;
use domain::{Reason, SettleResult, Status, TypeName};
use metrics::{counter, gauge, histogram};
use store::EndedTask;
use telemetry::MetricDescriptor;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::background::pruner::OutageLog;

const ACCEPTED: &str = "tasker_tasks_accepted_total";
const GRANTED: &str = "tasker_tasks_granted_total";
const ENDED: &str = "tasker_tasks_ended_total";
const STALE: &str = "tasker_reports_refused_total";
const VERDICT: &str = "tasker_verdict_lateness_seconds";
const REPORT: &str = "tasker_report_lateness_seconds";
const BATCH: &str = "tasker_batch_items";
const STATEMENT: &str = "tasker_statement_seconds";
const BUSY: &str = "tasker_pipeline_full_total";
const REQUEST: &str = "tasker_http_request_seconds";
const READY: &str = "tasker_tasks_ready";
const AGE: &str = "tasker_tasks_ready_age_seconds";
const RUNNING: &str = "tasker_tasks_running";
const WORKERS: &str = "tasker_workers";
const SLOTS: &str = "tasker_workers_slots";
const CLOCK: &str = "tasker_database_clock_offset_seconds";
const DEAD: &str = "tasker_database_live_dead_rows";
const SNAPSHOT: &str = "tasker_database_oldest_snapshot_seconds";

/// Everything that a Backend counts and measures.
pub const METRICS: &[MetricDescriptor] = &[
    MetricDescriptor::counter(ACCEPTED, "", "tasks that were accepted"),
    MetricDescriptor::counter(
        GRANTED,
        "way",
        "tasks that were granted: by `id` (a ticket, PATCH) or by `pull`",
    ),
    MetricDescriptor::counter(
        ENDED,
        "status, reason",
        "tasks that have ended here; a report that is repeated counts again",
    ),
    MetricDescriptor::counter(
        STALE,
        "why",
        "reports that were refused: `late`, `stale` (another grant's), `unknown`",
    ),
    MetricDescriptor::histogram(VERDICT, "", "how long after its deadline a task was cancelled"),
    MetricDescriptor::histogram(
        REPORT,
        "",
        "how long after its deadline a result came, of those that were refused for it",
    ),
    MetricDescriptor::histogram(
        BATCH,
        "verb",
        "how many items a statement took: `submit`, `claim`, `settle`, `pull`",
    ),
    MetricDescriptor::histogram(STATEMENT, "verb", "how long a statement took, its commit included"),
    MetricDescriptor::counter(BUSY, "verb", "items that found no room before the database"),
    MetricDescriptor::histogram(
        REQUEST,
        "method, route, status",
        "how long a request took, waiting that it asked for included",
    ),
    MetricDescriptor::gauge(READY, "type", "tasks that wait for a worker"),
    MetricDescriptor::gauge(AGE, "type", "how long the oldest of them has waited"),
    MetricDescriptor::gauge(RUNNING, "type", "tasks that run"),
    MetricDescriptor::gauge(WORKERS, "", "workers that have been heard lately"),
    MetricDescriptor::gauge(SLOTS, "type", "how many tasks of a type they could run at once"),
    MetricDescriptor::gauge(CLOCK, "", "the database's clock less ours"),
    MetricDescriptor::gauge(DEAD, "", "dead rows of the table of unfinished tasks (PostgreSQL)"),
    MetricDescriptor::gauge(SNAPSHOT, "", "age of the oldest snapshot that keeps them (PostgreSQL)"),
];

/// Between two samples of the database.
const PERIOD: Duration = Duration::from_secs(10);

pub(crate) fn accepted(tasks: usize) {
    counter!(ACCEPTED).increment(count(tasks));
}

pub(crate) fn granted(way: &'static str, tasks: usize) {
    counter!(GRANTED, "way" => way).increment(count(tasks));
}

/// A statement of `verb` took so many items, and so long.
pub(crate) fn statement(verb: &'static str, items: usize, began: Instant) {
    histogram!(BATCH, "verb" => verb).record(float(items));
    histogram!(STATEMENT, "verb" => verb).record(began.elapsed());
}

/// An item of `verb` found no room.
pub(crate) fn full(verb: &'static str) {
    counter!(BUSY, "verb" => verb).increment(1);
}

/// What became of a report.
pub(crate) fn settled(settled: SettleResult) {
    match settled {
        SettleResult::Finished => ended(Status::Finished, None),
        SettleResult::Cancelled { reason } => ended(Status::Cancelled, Some(reason)),
        SettleResult::Late { late_by_ms } => {
            ended(Status::Cancelled, Some(Reason::LateResult));
            refused("late");
            histogram!(REPORT).record(Duration::from_millis(late_by_ms));
        }
        SettleResult::Stale => refused("stale"),
        SettleResult::Unknown => refused("unknown"),
        SettleResult::Released => {}
    }
}

/// A verdict of the sweep, or of somebody who cancelled.
pub(crate) fn verdict(verdict: &EndedTask) {
    ended(Status::Cancelled, verdict.reason);
    if verdict.reason == Some(Reason::TtlExpired) {
        histogram!(VERDICT).record(Duration::from_micros(u64::try_from(verdict.late_us).unwrap_or(0)));
    }
}

fn ended(status: Status, reason: Option<Reason>) {
    let reason = reason.map_or("", Reason::as_str);
    counter!(ENDED, "status" => status.as_str(), "reason" => reason).increment(1);
}

fn refused(why: &'static str) {
    counter!(STALE, "why" => why).increment(1);
}

/// Measures a request under its route, never under its path.
pub(crate) async fn request(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = word(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    histogram!(REQUEST, "method" => method, "route" => route, "status" => status).record(began.elapsed());
    response
}

/// A method that is none of ours may be any word: it gets no series of its own.
pub(crate) fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Samples the database until `stop`.
pub(crate) async fn sample(app: App, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = OutageLog::with("sampling the database");
    let mut known = BTreeMap::new();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        trouble.heard(&sample_once(&app, &mut known).await);
    }
}

/// `known`: types that were shown before, whose figures fall to nothing when there is nothing of them.
async fn sample_once(app: &App, known: &mut BTreeMap<TypeName, u64>) -> Result<(), DatabaseError> {
    for slots in known.values_mut() {
        *slots = 0;
    }
    let workers = app.store.workers().await?;
    gauge!(WORKERS).set(float(workers.len()));
    for worker in workers {
        for name in worker.types {
            *known.entry(name).or_default() += u64::from(worker.slots);
        }
    }
    let depths = app.store.queue_depths().await?;
    for depth in &depths {
        known.entry(depth.name.clone()).or_default();
    }
    for (name, slots) in known {
        let depth = depths.iter().find(|depth| depth.name == *name);
        let name = name.to_string();
        gauge!(READY, "type" => name.clone()).set(depth.map_or(0.0, |depth| wide(depth.ready)));
        gauge!(AGE, "type" => name.clone()).set(depth.map_or(0.0, |depth| depth.oldest.as_secs_f64()));
        gauge!(RUNNING, "type" => name.clone()).set(depth.map_or(0.0, |depth| wide(depth.running)));
        gauge!(SLOTS, "type" => name).set(wide(*slots));
    }
    let health = app.store.health().await?;
    gauge!(CLOCK).set(health.clock_offset);
    if let Some(table) = health.table {
        gauge!(DEAD).set(wide(table.dead_rows));
        gauge!(SNAPSHOT).set(table.oldest_snapshot.as_secs_f64());
    }
    Ok(())
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

fn float(items: usize) -> f64 {
    wide(count(items))
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts beyond what a double holds")]
fn wide(items: u64) -> f64 {
    items as f64
}
