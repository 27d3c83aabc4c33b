//! When a task is tried again after an attempt that did not finish it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::id::TaskId;
use crate::task::attempt::Attempt;
use crate::task::status::Reason;

/// How often a task is tried, for which reasons again, and after which pauses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// How many attempts may fail, the first one included. A grant that a stopping worker releases does not count.
    #[schema(minimum = 2, maximum = 100)]
    pub max_attempts: u32,
    /// The pause after the first attempt, in milliseconds. Jitter takes up to half of each pause away.
    #[schema(minimum = 0, maximum = 31_622_400_000_u64)]
    pub backoff_ms: u64,
    /// What each further pause is multiplied by.
    pub factor: BackoffFactor,
    /// The longest pause, in milliseconds.
    #[schema(minimum = 0, maximum = 31_622_400_000_u64)]
    pub max_backoff_ms: u64,
    /// The reasons for which the task is tried again.
    pub on: Vec<Reason>,
}

/// What a failed operation says about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryHint {
    /// The task is not tried again, whatever its policy: another attempt would fail the same way.
    Never,
    /// If the policy allows another attempt, the pause is this long, in milliseconds.
    AfterMs(u64),
}

/// What each pause between attempts is multiplied by to get the next: 1 to 100, to three decimal places, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schema(value_type = f64, minimum = 1, maximum = 100, examples(2))]
pub struct BackoffFactor(u32);

/// The number is not from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is a number from 1 to 100")]
pub struct InvalidFactor;

impl RetryPolicy {
    /// The reasons for which an attempt may be made again.
    pub const REASONS: [Reason; 4] =
        [Reason::OperationFailed, Reason::TtlExpired, Reason::LateResult, Reason::WorkerLost];

    /// The most attempts that a task may have.
    pub const MAX_ATTEMPTS: u32 = 100;

    /// The pause after the first attempt, unless the submission or the operation says otherwise, in milliseconds.
    pub const DEFAULT_BACKOFF_MS: u64 = 1000;

    /// The longest pause, unless the submission or the operation says otherwise, in milliseconds.
    pub const DEFAULT_MAX_BACKOFF_MS: u64 = 60 * 60 * 1000;

    /// The pause after the attempt `attempt` of the task `id`, in milliseconds: `backoff_ms` without up to half of it. What is taken
    /// away follows from random bits of the id, so that tasks that fail together are not tried again together.
    pub fn jittered_ms(backoff_ms: u64, id: TaskId, attempt: Attempt) -> u64 {
        let random = id.0.as_bytes()[15 - (attempt % 7) as usize];
        backoff_ms - backoff_ms * u64::from(random) / 512
    }

    /// The pause that follows one of `backoff_ms`, before jitter, in milliseconds.
    pub fn next_backoff_ms(&self, backoff_ms: u64) -> u64 {
        let next = u128::from(backoff_ms) * u128::from(self.factor.0) / 1000;
        u64::try_from(next).unwrap_or(u64::MAX).min(self.max_backoff_ms)
    }
}

impl BackoffFactor {
    /// Each pause is twice as long as the one before.
    pub const DEFAULT: Self = Self(2000);
}

impl TryFrom<f64> for BackoffFactor {
    type Error = InvalidFactor;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 1000 and 100,000"
    )]
    fn try_from(factor: f64) -> Result<Self, InvalidFactor> {
        if !(1.0..=100.0).contains(&factor) {
            return Err(InvalidFactor);
        }
        Ok(Self((factor * 1000.0).round() as u32))
    }
}

impl From<BackoffFactor> for f64 {
    fn from(factor: BackoffFactor) -> Self {
        Self::from(factor.0) / 1000.0
    }
}
