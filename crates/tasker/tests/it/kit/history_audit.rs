//! Checks of a cluster's history, in the database and in the logs: no accepted task is missing, and no grant was run twice.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{HashMap, HashSet};

use database::{Db, ProcessClock};
use domain::{TaskCounts, TaskId};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use store::Store;
use uuid::Uuid;

use crate::kit::cluster::Cluster;
use crate::kit::metrics::Scrape;

/// How many tasks are in each status, in the database with this URL.
pub async fn read_counts(url: &str) -> TaskCounts {
    let store = Store::new(Db::open(url).unwrap(), ProcessClock::System);
    let counts = store.counts().await.unwrap();
    store.close().await;
    counts
}

/// Asserts that every accepted task has ended and that no task is missing. Some submissions may have been accepted whose
/// answer was lost, so there are `at_least` so many tasks, and `exactly` so many where no answer can have been lost.
pub async fn assert_counts_balance(url: &str, at_least: u64, exactly: Option<u64>) {
    let counts = read_counts(url).await;
    assert!(counts.is_balanced(), "{counts:?}");
    assert_eq!((counts.created, counts.running), (0, 0), "{counts:?}");
    assert!(
        counts.accepted >= at_least && exactly.is_none_or(|exactly| counts.accepted == exactly),
        "{counts:?}"
    );
}

/// How a task has ended: a row of `outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// The task.
    pub id: TaskId,
    /// `FINISHED` or `CANCELLED`.
    pub status: String,
    /// The number of the task's last grant.
    pub attempt: i32,
    /// When the task ended, in microseconds since 1970.
    pub ended: i64,
    /// The worker of the last grant, if the task was granted.
    pub worker: Option<String>,
}

/// The outcome of every task that has ended.
pub async fn read_outcomes(cluster: &Cluster) -> HashSet<Outcome> {
    let mut connection = PgConnection::connect(&cluster.database().url).await.unwrap();
    let query = sqlx::query_as("select id, status, attempt, ended_at, worker from outcome");
    let rows: Vec<(Uuid, String, i32, i64, Option<String>)> = query.fetch_all(&mut connection).await.unwrap();
    let outcome =
        |(id, status, attempt, ended, worker)| Outcome { id: TaskId(id), status, attempt, ended, worker };
    rows.into_iter().map(outcome).collect()
}

/// Renames a table, so that statements on it fail.
pub async fn rename_table(cluster: &Cluster, from: &str, to: &str) {
    let mut connection = PgConnection::connect(&cluster.database().url).await.unwrap();
    let rename = AssertSqlSafe(format!("alter table {from} rename to {to}"));
    connection.execute(rename).await.unwrap();
}

/// The run of one grant of a task, from its start to its end, by a worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run {
    /// The task.
    pub task: TaskId,
    /// The number of the grant.
    pub attempt: i32,
    /// The worker's name.
    pub worker: String,
}

/// The runs that have ended, from the logs of the workers at the level `debug`: each is a line in the span `task` of the run,
/// whatever the message. Lines of a worker that still runs may be missing.
pub fn logged_runs(cluster: &mut Cluster) -> Vec<Run> {
    let run = |line: &String| {
        let line: Value = serde_json::from_str(line).ok()?;
        line.get("span").filter(|span| *span == "task")?;
        Some(Run {
            task: line["task.id"].as_str()?.parse().ok()?,
            attempt: line["task.attempt"].as_i64()?.try_into().ok()?,
            worker: line["worker.name"].as_str()?.to_owned(),
        })
    };
    cluster.worker_output().iter().filter_map(run).collect()
}

/// Asserts that no grant was run twice, and that each task that finished was run under the grant that its outcome names. A task
/// that a worker has released runs again, under the number of the next grant. The workers must have been stopped, so that
/// every line of their logs is there.
pub async fn assert_each_grant_ran_once(cluster: &mut Cluster) {
    let mut counts: HashMap<(TaskId, i32), usize> = HashMap::new();
    for run in logged_runs(cluster) {
        *counts.entry((run.task, run.attempt)).or_default() += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "grants that were run more than once: {twice:?}");
    let mut finished: Vec<_> = read_outcomes(cluster).await.into_iter().collect();
    finished.retain(|outcome| outcome.status == "FINISHED");
    assert!(!finished.is_empty(), "some tasks finish in every test");
    finished.retain(|outcome| !counts.contains_key(&(outcome.id, outcome.attempt)));
    assert!(finished.is_empty(), "tasks that finished without a line of their run: {finished:?}");
}

/// How many tasks the Backends have granted in each way since they were started.
#[derive(Debug, Clone, Copy, Default)]
pub struct GrantCounts {
    /// To workers that named the task, since they had its ticket.
    pub by_ticket: f64,
    /// To workers that asked for types of tasks.
    pub by_long_poll: f64,
}

/// Sums the metric `tasker_tasks_granted_total` of the Backends; the setting `metrics.listen` must be given.
pub async fn count_grants(cluster: &mut Cluster) -> GrantCounts {
    let mut grants = GrantCounts::default();
    for url in cluster.backend_metrics_urls() {
        let scrape = Scrape::fetch(&url).await;
        grants.by_ticket += scrape.sum("tasker_tasks_granted_total", &[r#"way="id""#]);
        grants.by_long_poll += scrape.sum("tasker_tasks_granted_total", &[r#"way="pull""#]);
    }
    grants
}
