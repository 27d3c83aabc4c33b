//! The reconciliation at the end of a benchmark: every accepted task exists, and has ended as expected.

use std::collections::BTreeMap;
use std::time::Duration;

use client::Client;
use domain::{Reason, Status, TaskId};
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

impl Reconciliation {
    /// Waits for the end of each accepted task and counts the ends.
    pub async fn check(client: &Client, accepted: &[TaskId], kind: BenchmarkKind) -> Self {
        let mut reconciliation = Self { accepted: accepted.len(), ..Self::default() };
        let mut checks = JoinSet::new();
        for chunk in accepted.chunks(accepted.len().div_ceil(CONCURRENCY).max(1)) {
            let (client, ids) = (client.clone(), chunk.to_vec());
            checks.spawn(async move {
                let mut ends = Vec::new();
                for id in ids {
                    let task = client.wait(id, END_TIMEOUT).await.ok();
                    ends.push(task.map(|task| (task.status, task.reason)));
                }
                ends
            });
        }
        while let Some(ends) = checks.join_next().await {
            for end in ends.expect("a check does not panic") {
                reconciliation.add(end, kind);
            }
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
