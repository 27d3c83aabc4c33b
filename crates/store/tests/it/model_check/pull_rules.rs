//! What claims by type may be granted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use domain::{ClaimId, Priority, State};
use store::{Granted, PullRequest};

use crate::model_check::calls::{Call, CallResult, is_old};
use crate::model_check::model::{Model, ModelTask};

/// The order in which tasks are granted: by priority, the highest first, then by when they became ready.
type Rank = (Reverse<Priority>, i64);

fn rank(task: &ModelTask) -> Rank {
    (Reverse(task.submission.options.priority), task.ready_at)
}

impl Call {
    /// Checks a claim by type that ran alone: it takes exactly the oldest tasks, its requests take turns, and claims under which
    /// something runs get nothing.
    pub(crate) fn check_alone(&self, result: &CallResult, before: &Model, now: i64) -> Result<(), String> {
        let (Self::Pull(requests, kinds, age), CallResult::PullResult(result)) = (self, result) else {
            return Ok(());
        };
        let ready = before.tasks.values().filter(|task| {
            kinds.contains(&task.submission.type_name)
                && is_old(task, *age, now)
                && matches!(task.state, State::Created { start_by, .. } if now <= start_by.0)
        });
        let mut ready: Vec<Rank> = ready.map(rank).collect();
        ready.sort_unstable();
        let rounds = 0..requests.iter().map(|request| request.slots).max().unwrap_or(0);
        let turns = rounds.flat_map(|round| requests.iter().filter(move |request| request.slots > round));
        let assigned: Vec<(&PullRequest, Rank)> = turns.zip(ready).collect();
        let is_checked = |request: &&PullRequest| {
            request.slots > 0 && request.is_first_look && !kinds.is_empty()
                || assigned.iter().any(|(at, _)| at == request)
        };
        let refused: BTreeSet<ClaimId> = requests
            .iter()
            .filter(is_checked)
            .filter(|by| before.runs_under(by, now))
            .map(|by| by.claim)
            .collect();
        let mut expected: Vec<(ClaimId, Rank)> = assigned
            .iter()
            .map(|(by, rank)| (by.claim, *rank))
            .filter(|(by, _)| !refused.contains(by))
            .collect();
        let rank_of = |granted: &Granted| rank(&before.tasks[&granted.grant.id]);
        let mut granted: Vec<(ClaimId, Rank)> =
            result.granted.iter().map(|granted| (granted.grant.claim, rank_of(granted))).collect();
        expected.sort_unstable();
        granted.sort_unstable();
        let mut found = result.refused.clone(); // their order is not specified
        found.sort_unstable();
        if granted != expected || !found.into_iter().eq(refused.iter().copied()) {
            return Err(format!("{result:?}, but {expected:?} were to be granted and {refused:?} refused"));
        }
        Ok(())
    }
}

/// Checks that no claim is granted tasks by two concurrent calls, nor while an earlier task runs under it. Calls that may have
/// ended such a task in between are not checked.
pub(crate) fn check_claims(
    calls: &[Call],
    results: &[CallResult],
    before: &Model,
    now: i64,
) -> Result<(), String> {
    if calls.iter().any(|call| !matches!(call, Call::Submit(_) | Call::Claim(_) | Call::Pull(..))) {
        return Ok(());
    }
    let mut granted_by: BTreeMap<ClaimId, usize> = BTreeMap::new();
    for (number, (call, result)) in calls.iter().zip(results).enumerate() {
        let (Call::Pull(requests, ..), CallResult::PullResult(result)) = (call, result) else { continue };
        for Granted { grant, .. } in &result.granted {
            let by = requests.iter().find(|by| by.claim == grant.claim).unwrap();
            if before.runs_under(by, now) || *granted_by.entry(grant.claim).or_insert(number) != number {
                return Err(format!("{:?} was granted something twice", grant.claim));
            }
        }
    }
    Ok(())
}
