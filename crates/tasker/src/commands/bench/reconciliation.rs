//! The books at the end: every task that was accepted is there, and has ended as it should.

use std::collections::BTreeMap;
use std::time::Duration;

use client::Client;
use domain::{Reason, Status, TaskId};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::commands::bench::Measure;

/// How long a task may take to end once the load is over.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many are looked at at a time.
const AT_ONCE: usize = 16;

/// How the accepted tasks have ended.
#[derive(Debug, Default, Serialize)]
pub struct Reconciliation {
    /// How many were accepted.
    pub accepted: usize,
    /// Their ends: `FINISHED`, or the reason of a cancellation.
    pub ends: BTreeMap<&'static str, usize>,
    /// Those that have not ended after two minutes.
    pub open: usize,
    /// Those that are not there, or could not be read.
    pub lost: usize,
    /// Those that ended otherwise than they should.
    pub wrong: usize,
}

impl Reconciliation {
    /// Looks at each of them, waiting for its end.
    pub(crate) async fn check(client: &Client, accepted: &[TaskId], measure: Measure) -> Self {
        let mut books = Self { accepted: accepted.len(), ..Self::default() };
        let mut looks = JoinSet::new();
        for chunk in accepted.chunks(accepted.len().div_ceil(AT_ONCE).max(1)) {
            let (client, ids) = (client.clone(), chunk.to_vec());
            looks.spawn(async move {
                let mut ends = Vec::new();
                for id in ids {
                    ends.push(client.wait(id, PATIENCE).await.ok().map(|task| (task.status, task.reason)));
                }
                ends
            });
        }
        while let Some(ends) = looks.join_next().await {
            for end in ends.expect("looking does not panic") {
                books.enter(end, measure);
            }
        }
        books
    }

    fn enter(&mut self, end: Option<(Status, Option<Reason>)>, measure: Measure) {
        let Some((status, reason)) = end else {
            self.lost += 1;
            return;
        };
        if !status.is_final() {
            self.open += 1;
            return;
        }
        let word = reason.map_or_else(|| status.as_str(), Reason::as_str);
        *self.ends.entry(word).or_default() += 1;
        let is_right = match measure {
            Measure::Lateness => reason == Some(Reason::TtlExpired),
            Measure::Submission | Measure::Life => status == Status::Finished,
        };
        self.wrong += usize::from(!is_right);
    }

    /// Whether every task that was accepted is there and has ended, however.
    pub fn balance(&self) -> bool {
        self.open == 0 && self.lost == 0
    }

    /// Whether all have ended, as they should.
    pub fn are_right(&self) -> bool {
        self.balance() && self.wrong == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_or_open_does_not_balance_and_what_ended_otherwise_is_wrong() {
        let books = |measure, end| {
            let mut books = Reconciliation::default();
            books.enter(end, measure);
            books
        };
        let entered = |measure, end| books(measure, end).are_right();
        let expired = Some((Status::Cancelled, Some(Reason::TtlExpired)));
        assert!(entered(Measure::Lateness, expired) && !entered(Measure::Life, expired));
        let finished = Some((Status::Finished, None));
        assert!(entered(Measure::Life, finished) && !entered(Measure::Lateness, finished));
        assert!(books(Measure::Life, expired).balance());
        assert!(!books(Measure::Life, None).balance());
        assert!(!books(Measure::Submission, Some((Status::Running, None))).balance());
    }
}
