//! The reconciliation at the end of a benchmark: every accepted task exists, and has ended as expected.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use client::Client;
use domain::{Reason, Status, Task, TaskId, Timestamp};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::commands::bench::benchmark_kind::BenchmarkKind;

/// How long a task may take to end after the load.
const END_TIMEOUT: Duration = Duration::from_mins(2);

/// How many tasks are checked at a time.
const CONCURRENCY: usize = 16;

/// How the accepted tasks have ended, as counts.
#[derive(Debug, Default, Serialize)]
pub struct Reconciliation {
    /// Accepted tasks.
    pub accepted: usize,
    /// Ended tasks by `FINISHED` or by the reason of their cancellation.
    pub ends: BTreeMap<&'static str, usize>,
    /// Tasks that have not ended after two minutes.
    pub open: usize,
    /// Tasks that do not exist or could not be read.
    pub lost: usize,
    /// Ended tasks whose end is not the expected one.
    pub unexpected: usize,
}

/// How a task is after the wait for its end.
#[derive(Debug, Clone, Copy)]
pub struct TaskEnd {
    /// Its status.
    pub status: Status,
    /// Why it was cancelled.
    pub reason: Option<Reason>,
    /// Its deadline.
    pub deadline: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
}

impl TaskEnd {
    fn of(task: &Task) -> Self {
        Self { status: task.status, reason: task.reason, deadline: task.deadline, end: task.end_date }
    }
}

/// Waits for the end of each task; `None` where a task does not exist or cannot be read.
pub async fn wait_for_ends(client: &Client, ids: &[TaskId]) -> Vec<Option<TaskEnd>> {
    let mut checks = JoinSet::new();
    for chunk in ids.chunks(ids.len().div_ceil(CONCURRENCY).max(1)) {
        let (client, ids) = (client.clone(), chunk.to_vec());
        checks.spawn(async move {
            let mut ends = Vec::new();
            for id in ids {
                ends.push(client.wait(id, END_TIMEOUT).await.ok().as_ref().map(TaskEnd::of));
            }
            ends
        });
    }
    checks.join_all().await.concat()
}

impl Reconciliation {
    /// Waits for the end of each accepted task and counts the ends.
    pub async fn check(client: &Client, accepted: &[TaskId], kind: BenchmarkKind) -> Self {
        Self::of(&wait_for_ends(client, accepted).await, kind)
    }

    /// Counts the ends of accepted tasks.
    pub fn of(ends: &[Option<TaskEnd>], kind: BenchmarkKind) -> Self {
        let mut reconciliation = Self { accepted: ends.len(), ..Self::default() };
        for end in ends {
            reconciliation.add(end.map(|end| (end.status, end.reason)), kind);
        }
        reconciliation
    }

    fn add(&mut self, end: Option<(Status, Option<Reason>)>, kind: BenchmarkKind) {
        let Some((status, reason)) = end else {
            self.lost += 1;
            return;
        };
        if !status.is_final() {
            self.open += 1;
            return;
        }
        let end = reason.map_or_else(|| status.as_str(), Reason::as_str);
        *self.ends.entry(end).or_default() += 1;
        self.unexpected += usize::from(!kind.expects(status, reason));
    }

    /// Whether every accepted task exists and has ended.
    pub fn is_complete(&self) -> bool {
        self.open == 0 && self.lost == 0
    }

    /// The counts as a line of text.
    pub fn line(&self) -> String {
        let Self { accepted, ends, open, lost, unexpected } = self;
        let ends = ends.iter().map(|(end, count)| (*count, *end));
        let parts = ends.chain([(*open, "not ended"), (*lost, "LOST")]);
        let parts: Vec<String> =
            parts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let mut line = format!("tasks: {accepted} accepted = {}", parts.join(" + "));
        if !self.is_complete() {
            line.push_str(": NOT ALL HAVE ENDED");
        } else if *unexpected > 0 {
            let _ = write!(line, ": nothing was lost, {unexpected} did not end as expected");
        }
        line
    }

    /// Whether every accepted task exists and has ended as expected.
    pub fn is_as_expected(&self) -> bool {
        self.is_complete() && self.unexpected == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_or_open_task_is_incomplete_and_another_end_unexpected() {
        let one = |kind, end| {
            let mut reconciliation = Reconciliation::default();
            reconciliation.add(end, kind);
            reconciliation
        };
        let is_as_expected = |kind, end| one(kind, end).is_as_expected();
        let expired = Some((Status::Cancelled, Some(Reason::TtlExpired)));
        assert!(
            is_as_expected(BenchmarkKind::Lateness, expired)
                && !is_as_expected(BenchmarkKind::EndToEnd, expired)
        );
        let finished = Some((Status::Finished, None));
        assert!(
            is_as_expected(BenchmarkKind::EndToEnd, finished)
                && !is_as_expected(BenchmarkKind::Lateness, finished)
        );
        assert!(one(BenchmarkKind::EndToEnd, expired).is_complete());
        assert!(!one(BenchmarkKind::EndToEnd, None).is_complete());
        assert!(!one(BenchmarkKind::Submission, Some((Status::Running, None))).is_complete());
    }
}
