//! What is left of a task's attempts and of their time.

use crate::task::attempt::Attempt;
use crate::task::options::TaskOptions;
use crate::task::retry_policy::{RetryHint, RetryPolicy};
use crate::task::status::Reason;
use crate::task::submission::Submission;
use crate::task::ttl::Ttl;
use crate::timestamp::Timestamp;

/// What is left of a task's attempts and of their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptBudget {
    /// How many more attempts there may be after one that fails.
    pub retries_left: u32,
    /// The pause after the next attempt that fails, before jitter, in milliseconds; `None`: the task is tried once.
    pub backoff_ms: Option<u64>,
    /// When the time of all attempts together is over; `None`: not limited, or not started.
    pub ends_at: Option<Timestamp>,
}

impl AttemptBudget {
    /// The budget of a task that was not granted yet.
    pub(crate) fn of(options: &TaskOptions) -> Self {
        let retry = options.retry.as_ref();
        Self {
            retries_left: retry.map_or(0, |retry| retry.max_attempts - 1),
            backoff_ms: retry.map(|retry| retry.backoff_ms),
            ends_at: None,
        }
    }

    /// Until when a task waits for a grant that becomes ready at `ready_at`.
    pub(crate) fn start_by(&self, ready_at: Timestamp, start_within: Ttl) -> Timestamp {
        let start_by = ready_at.plus_micros(start_within.micros());
        self.ends_at.map_or(start_by, |end| start_by.min(end))
    }

    /// The budget of a task that is granted now, and the deadline of the attempt: its TTL from now, or what is left of the time of
    /// all attempts, in whole milliseconds, if that is less.
    pub(crate) fn at_grant(self, now: Timestamp, task: &Submission) -> (Self, Timestamp) {
        let first_end = || task.options.total_ttl_ms.map(|total| now.plus_micros(total.micros()));
        let ends_at = self.ends_at.or_else(first_end);
        let left = ends_at.map_or(i64::MAX, |end| end.micros_since(now) / 1000 * 1000);
        (Self { ends_at, ..self }, now.plus_micros(task.ttl.micros().min(left)))
    }

    /// The budget after an attempt that ended for `reason`, and when the task becomes ready again; `None` if it is not tried again.
    pub(crate) fn after_failure(
        self,
        attempt: Attempt,
        reason: Reason,
        hint: Option<RetryHint>,
        now: Timestamp,
        task: &Submission,
    ) -> Option<(Self, Timestamp)> {
        let (policy, backoff_ms) = (task.options.retry.as_ref()?, self.backoff_ms?);
        if self.retries_left == 0 || !policy.on.contains(&reason) || hint == Some(RetryHint::Never) {
            return None;
        }
        let pause_ms = match hint {
            Some(RetryHint::AfterMs(millis)) => millis,
            _ => RetryPolicy::jittered_ms(backoff_ms, task.id, attempt),
        };
        let ready_at = now.plus_micros(pause_ms.cast_signed().saturating_mul(1000));
        let next = Self {
            retries_left: self.retries_left - 1,
            backoff_ms: Some(policy.next_backoff_ms(backoff_ms)),
            ..self
        };
        self.ends_at.is_none_or(|end| ready_at < end).then_some((next, ready_at))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::id::{OwnerId, TaskId};
    use crate::task::retry_policy::BackoffFactor;
    use crate::task::submission::NotBefore;

    const START: Timestamp = Timestamp(1_000_000);

    /// A task that is tried up to three times, after pauses of a second and more.
    fn task(total_ttl_ms: Option<u64>) -> Submission {
        let retry = RetryPolicy {
            max_attempts: 3,
            backoff_ms: 1000,
            factor: BackoffFactor::try_from(1.5).unwrap(),
            max_backoff_ms: 1200,
            on: vec![Reason::OperationFailed],
        };
        let total_ttl_ms = total_ttl_ms.map(|millis| Ttl::try_from(millis).unwrap());
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
            options: TaskOptions { retry: Some(retry), total_ttl_ms, ..TaskOptions::default() },
        }
    }

    #[test]
    fn pauses_grow_to_their_maximum_and_attempts_run_out() {
        let task = task(None);
        let mut budget = AttemptBudget::of(&task.options);
        for pause_ms in [1000, 1200] {
            let next = budget.after_failure(1, Reason::OperationFailed, None, START, &task);
            let (next, ready_at) = next.unwrap();
            assert_eq!(ready_at, START.plus_micros(pause_ms * 1000), "no jitter: the id is all zeros");
            budget = next;
        }
        assert_eq!(budget.after_failure(3, Reason::OperationFailed, None, START, &task), None);
    }

    #[test]
    fn another_reason_and_a_permanent_failure_end_the_task() {
        let task = task(None);
        let budget = AttemptBudget::of(&task.options);
        assert_eq!(budget.after_failure(1, Reason::WorkerLost, None, START, &task), None);
        let never = Some(RetryHint::Never);
        assert_eq!(budget.after_failure(1, Reason::OperationFailed, never, START, &task), None);
    }

    #[test]
    fn the_time_of_all_attempts_bounds_the_grants_and_the_pauses() {
        let task = task(Some(1500));
        let (budget, deadline) = AttemptBudget::of(&task.options).at_grant(START, &task);
        assert_eq!(deadline, START.plus_micros(1_000_000));
        let failed_at = START.plus_micros(100_000);
        let after = |millis| {
            let hint = Some(RetryHint::AfterMs(millis));
            budget.after_failure(1, Reason::OperationFailed, hint, failed_at, &task)
        };
        let (second, ready_at) = after(900).unwrap();
        assert_eq!(second.start_by(ready_at, task.start_within), START.plus_micros(1_500_000));
        let again_at = START.plus_micros(1_000_700);
        assert_eq!(second.at_grant(again_at, &task).1, again_at.plus_micros(499_000), "499.3 ms are left");
        assert_eq!(after(1400), None, "nothing would be left");
    }
}
