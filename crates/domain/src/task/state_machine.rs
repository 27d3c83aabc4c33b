//! The state machine of a task as one `match`: the specification against which the store's statements are tested.

use crate::id::ClaimId;
use crate::name::WorkerName;
use crate::task::attempt::Attempt;
use crate::task::attempt_budget::AttemptBudget;
use crate::task::event::Event;
use crate::task::retry_policy::RetryHint;
use crate::task::status::{Reason, Status};
use crate::task::submission::Submission;
use crate::timestamp::Timestamp;

/// The state of a task, with the data that exists only in that state. The transitions for each event, in time and late:
///
/// ```text
#[doc = include_str!("../../../../docs/state-machine.txt")]
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The task waits for other tasks to finish.
    Blocked {
        /// What is left for further attempts.
        budget: AttemptBudget,
        /// When the task becomes ready at the earliest.
        not_before: Timestamp,
    },
    /// The task is not ready yet: it cannot be claimed before an instant.
    Delayed {
        /// What is left for further attempts.
        budget: AttemptBudget,
        /// The number of grants so far.
        attempt: Attempt,
        /// When the task becomes ready.
        ready_at: Timestamp,
        /// The task is cancelled if no worker has claimed it by then.
        start_by: Timestamp,
    },
    /// The task is ready, and waits for a grant.
    Created {
        /// What is left for further attempts.
        budget: AttemptBudget,
        /// The number of grants so far.
        attempt: Attempt,
        /// The task is cancelled if no worker has claimed it by then.
        start_by: Timestamp,
    },
    /// The task is granted to a worker.
    Running {
        /// What is left for further attempts.
        budget: AttemptBudget,
        /// The number of this grant.
        attempt: Attempt,
        /// The claim id under which the task was granted.
        claim: ClaimId,
        /// The worker to which the task was granted.
        worker: WorkerName,
        /// When the task was granted.
        started: Timestamp,
        /// The last instant at which a result is accepted.
        deadline: Timestamp,
    },
    /// The task has ended with a result, which arrived in time.
    Finished {
        /// The number of the grant that finished the task.
        attempt: Attempt,
        /// When the task ended.
        ended: Timestamp,
    },
    /// The task has ended without a result.
    Cancelled {
        /// The number of grants until then.
        attempt: Attempt,
        /// Why the task was cancelled.
        reason: Reason,
        /// When the task ended.
        ended: Timestamp,
    },
}

/// The event has no effect on a task in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event has no effect in this state")]
pub struct InvalidTransition;

impl State {
    /// The state of `task` when it is accepted at `at`.
    pub fn at_submission(at: Timestamp, task: &Submission) -> Self {
        let budget = AttemptBudget::of(&task.options);
        let ready_at = task.not_before.ready_at(at);
        if !task.options.after.is_empty() {
            return Self::Blocked { budget, not_before: ready_at };
        }
        waiting(budget, 0, ready_at, at, task)
    }

    /// The state of `task` after `event` at the instant `now`; fails if the event has no effect. An event exactly at `start_by` or
    /// at the deadline is in time.
    pub fn apply(self, event: Event, now: Timestamp, task: &Submission) -> Result<Self, InvalidTransition> {
        use Event::{CancelRequested, Claimed, Failed, Promoted, Released, Succeeded, Swept, WorkerLost};
        use State::{Blocked, Cancelled, Created, Delayed, Running};
        let ended = now;
        Ok(match (self, event) {
            (Blocked { budget, not_before }, event) => after_blocked(budget, not_before, &event, now, task)?,
            (Created { budget, attempt, start_by }, Claimed { claim, worker }) if now <= start_by => {
                let (budget, deadline) = budget.at_grant(now, task);
                Running { budget, attempt: attempt + 1, claim, worker, started: now, deadline }
            }
            (Delayed { budget, attempt, ready_at, start_by }, Promoted) if now >= ready_at => {
                Created { budget, attempt, start_by }
            }
            (Created { budget, attempt, start_by } | Delayed { budget, attempt, start_by, .. }, Swept)
                if now > start_by =>
            {
                let is_budget_over = budget.ends_at.is_some_and(|end| end < now);
                let reason = if is_budget_over { Reason::TtlExpired } else { Reason::NotStarted };
                Cancelled { attempt, reason, ended }
            }
            (Running { budget, attempt, claim, deadline, .. }, Succeeded { claim: by }) if claim == by => {
                if now <= deadline {
                    Self::Finished { attempt, ended }
                } else {
                    after_failure(budget, attempt, Reason::LateResult, None, now, task)
                }
            }
            (Running { budget, attempt, claim, deadline, .. }, Failed { claim: by, hint }) if claim == by => {
                let reason = if now <= deadline { Reason::OperationFailed } else { Reason::TtlExpired };
                after_failure(budget, attempt, reason, hint, now, task)
            }
            (Running { budget, attempt, claim, deadline, .. }, Released { claim: by })
                if claim == by && now <= deadline =>
            {
                waiting(budget, attempt, now, now, task)
            }
            (Running { budget, attempt, deadline, .. }, Swept) if now > deadline => {
                after_failure(budget, attempt, Reason::TtlExpired, None, now, task)
            }
            (Running { budget, attempt, worker, .. }, WorkerLost { worker: lost }) if worker == lost => {
                after_failure(budget, attempt, Reason::WorkerLost, None, now, task)
            }
            (
                Delayed { attempt, .. } | Created { attempt, .. } | Running { attempt, .. },
                CancelRequested,
            ) => Cancelled { attempt, reason: Reason::Requested, ended },
            _ => return Err(InvalidTransition),
        })
    }

    /// The status, as the API shows it.
    pub const fn status(&self) -> Status {
        match self {
            Self::Blocked { .. } | Self::Delayed { .. } | Self::Created { .. } => Status::Created,
            Self::Running { .. } => Status::Running,
            Self::Finished { .. } => Status::Finished,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Why the task was cancelled, if it was.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Cancelled { reason, .. } => Some(*reason),
            _ => None,
        }
    }
}

/// The state of a blocked task after `event`.
fn after_blocked(
    budget: AttemptBudget,
    not_before: Timestamp,
    event: &Event,
    now: Timestamp,
    task: &Submission,
) -> Result<State, InvalidTransition> {
    let cancelled = |reason| State::Cancelled { attempt: 0, reason, ended: now };
    match event {
        // The promotion makes the task ready and announces it, even if it is to be ready at once.
        Event::DependenciesFinished => {
            let ready_at = not_before.max(now);
            let start_by = budget.start_by(ready_at, task.start_within);
            Ok(State::Delayed { budget, attempt: 0, ready_at, start_by })
        }
        Event::DependencyFailed => Ok(cancelled(Reason::DependencyFailed)),
        Event::CancelRequested => Ok(cancelled(Reason::Requested)),
        _ => Err(InvalidTransition),
    }
}

/// The state of a task that waits for a grant from `ready_at` on.
fn waiting(
    budget: AttemptBudget,
    attempt: Attempt,
    ready_at: Timestamp,
    now: Timestamp,
    task: &Submission,
) -> State {
    let start_by = budget.start_by(ready_at, task.start_within);
    if ready_at > now {
        State::Delayed { budget, attempt, ready_at, start_by }
    } else {
        State::Created { budget, attempt, start_by }
    }
}

/// The state after an attempt that ended for `reason`: the task waits for another one, or is cancelled.
fn after_failure(
    budget: AttemptBudget,
    attempt: Attempt,
    reason: Reason,
    hint: Option<RetryHint>,
    now: Timestamp,
    task: &Submission,
) -> State {
    match budget.after_failure(attempt, reason, hint, now, task) {
        None => State::Cancelled { attempt, reason, ended: now },
        // The promotion makes the task ready and announces it, even if the pause is zero.
        Some((budget, ready_at)) => {
            let start_by = budget.start_by(ready_at, task.start_within);
            State::Delayed { budget, attempt, ready_at, start_by }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use uuid::Uuid;

    use super::*;
    use crate::id::{OwnerId, TaskId};
    use crate::task::options::TaskOptions;
    use crate::task::retry_policy::{BackoffFactor, RetryPolicy};
    use crate::task::submission::NotBefore;
    use crate::task::ttl::Ttl;

    const START: Timestamp = Timestamp(1_000_000);
    const LIMIT: Timestamp = Timestamp(2_000_000);
    const IN_TIME: Timestamp = LIMIT;
    const LATE: Timestamp = Timestamp(2_000_001);
    const MINE: ClaimId = ClaimId(Uuid::from_u128(1));
    const FOREIGN: ClaimId = ClaimId(Uuid::from_u128(2));
    const ONCE: AttemptBudget = AttemptBudget { retries_left: 0, backoff_ms: None, ends_at: None };
    const AGAIN: AttemptBudget = AttemptBudget { retries_left: 1, backoff_ms: Some(1000), ends_at: None };

    fn worker(name: &str) -> WorkerName {
        name.parse().unwrap()
    }

    /// A task that is tried again for every reason, after pauses of a second and more.
    fn task() -> Submission {
        let retry = RetryPolicy {
            max_attempts: 3,
            backoff_ms: 1000,
            factor: BackoffFactor::DEFAULT,
            max_backoff_ms: 3000,
            on: RetryPolicy::REASONS.to_vec(),
        };
        Submission {
            id: TaskId(Uuid::nil()),
            owner: OwnerId(Uuid::nil()),
            type_name: "ECHO".parse().unwrap(),
            queue: "default".parse().unwrap(),
            parameters: None,
            ttl: Ttl::try_from(1000).unwrap(),
            not_before: NotBefore::Submission,
            start_within: Ttl::try_from(1000).unwrap(),
            trace: None,
            options: TaskOptions { retry: Some(retry), ..TaskOptions::default() },
        }
    }

    fn running(budget: AttemptBudget) -> State {
        let worker = worker("w");
        State::Running { budget, attempt: 1, claim: MINE, worker, started: START, deadline: LIMIT }
    }

    fn states() -> [State; 7] {
        [
            State::Blocked { budget: ONCE, not_before: START },
            State::Delayed { budget: ONCE, attempt: 1, ready_at: START, start_by: LIMIT },
            State::Created { budget: ONCE, attempt: 1, start_by: LIMIT },
            running(ONCE),
            running(AGAIN),
            State::Finished { attempt: 1, ended: START },
            State::Cancelled { attempt: 1, reason: Reason::Requested, ended: START },
        ]
    }

    fn events() -> [(&'static str, Event); 16] {
        [
            ("claim", Event::Claimed { claim: MINE, worker: worker("w") }),
            ("result", Event::Succeeded { claim: MINE }),
            ("result by another claim", Event::Succeeded { claim: FOREIGN }),
            ("failure", Event::Failed { claim: MINE, hint: None }),
            ("permanent failure", Event::Failed { claim: MINE, hint: Some(RetryHint::Never) }),
            ("failure, again at once", Event::Failed { claim: MINE, hint: Some(RetryHint::AfterMs(0)) }),
            ("failure by another claim", Event::Failed { claim: FOREIGN, hint: None }),
            ("release", Event::Released { claim: MINE }),
            ("release by another claim", Event::Released { claim: FOREIGN }),
            ("dependencies finished", Event::DependenciesFinished),
            ("dependency failed", Event::DependencyFailed),
            ("promotion", Event::Promoted),
            ("sweep", Event::Swept),
            ("its worker lost", Event::WorkerLost { worker: worker("w") }),
            ("another worker lost", Event::WorkerLost { worker: worker("v") }),
            ("cancel", Event::CancelRequested),
        ]
    }

    /// A row for each event in time and late, a column for each state; `-` means that the event has no effect.
    fn table() -> String {
        let mut table = format!("{:<35}", "");
        for state in states() {
            let header = match state {
                State::Blocked { .. } | State::Delayed { .. } => describe(&state),
                State::Running { budget: AttemptBudget { retries_left: 1.., .. }, .. } => {
                    "RUNNING (tries left)".to_owned()
                }
                _ => state.status().to_string(),
            };
            write!(table, "{header:<28}").unwrap();
        }
        table.truncate(table.trim_end().len());
        for (name, event) in events() {
            for (when, now) in [("in time", IN_TIME), ("late", LATE)] {
                write!(table, "\n{name:<26}{when:<9}").unwrap();
                for state in states() {
                    let to = state.apply(event.clone(), now, &task());
                    let to = to.map_or_else(|_| "-".to_owned(), |to| describe(&to));
                    write!(table, "{to:<28}").unwrap();
                }
                table.truncate(table.trim_end().len());
            }
        }
        table + "\n"
    }

    fn describe(state: &State) -> String {
        let status = state.status();
        match state {
            State::Blocked { .. } => format!("{status} (blocked)"),
            State::Delayed { .. } => format!("{status} (delayed)"),
            _ => state.reason().map_or_else(|| status.to_string(), |reason| format!("{status} {reason}")),
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
    fn the_documented_transitions_are_those_of_the_state_machine() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/state-machine.txt");
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(file, table()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(file).unwrap_or_default(),
            table(),
            "`make golden` rewrites {file}"
        );
    }

    #[test]
    fn only_a_claim_raises_the_attempt() {
        for state in states() {
            for (_, event) in events() {
                let raises = matches!(event, Event::Claimed { .. });
                if let Ok(to) = state.clone().apply(event, IN_TIME, &task()) {
                    assert_eq!(attempt(&to), attempt(&state) + Attempt::from(raises));
                }
            }
        }
    }

    fn attempt(state: &State) -> Attempt {
        match state {
            State::Blocked { .. } => 0,
            State::Delayed { attempt, .. }
            | State::Created { attempt, .. }
            | State::Running { attempt, .. }
            | State::Finished { attempt, .. }
            | State::Cancelled { attempt, .. } => *attempt,
        }
    }
}
