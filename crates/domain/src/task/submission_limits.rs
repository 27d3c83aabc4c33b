//! What an operation says about the submissions of its type: defaults for what a submission leaves out, and maxima.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::object_only;
use crate::task::priority::Priority;
use crate::task::retry_policy::{BackoffFactor, RetryPolicy};
use crate::task::status::Reason;
use crate::task::ttl::Ttl;

object_only!(deserialize and serialize: SubmissionDefaults, SubmissionMaxima, RetryRequest);

/// What a submission has that does not say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmissionDefaults {
    /// The priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How long the task may wait for a claim, in milliseconds from when it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_within_ms: Option<Ttl>,
    /// How many attempts may fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: Option<u32>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryRequest>,
    /// How long all attempts may take together, in milliseconds from the first claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ttl_ms: Option<Ttl>,
}

/// The most that a submission may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmissionMaxima {
    /// The highest priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The longest time from the submission until the task is ready, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The longest time that a task may wait for a claim, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_within_ms: Option<Ttl>,
    /// The most attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: Option<u32>,
    /// The longest pause between two attempts, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u64>,
    /// The longest time of all attempts together, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ttl_ms: Option<Ttl>,
}

/// When a task is to be tried again. What is left out is as the operation says, or else as the defaults are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryRequest {
    /// The pause after the first attempt, in milliseconds; 1000 by default. Jitter takes up to half of each pause away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 31_622_400_000_u64)]
    pub backoff_ms: Option<u64>,
    /// What each further pause is multiplied by; 2 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<BackoffFactor>,
    /// The longest pause, in milliseconds; an hour by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 31_622_400_000_u64)]
    pub max_backoff_ms: Option<u64>,
    /// The reasons for which the task is tried again, of `OPERATION_FAILED`, `TTL_EXPIRED`, `LATE_RESULT` and `WORKER_LOST`; by default
    /// all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<Reason>>,
}

impl SubmissionDefaults {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl SubmissionMaxima {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RetryRequest {
    /// The policy for `max_attempts` attempts, with what `defaults` says of whatever is left out.
    pub fn policy(&self, defaults: &Self, max_attempts: u32) -> RetryPolicy {
        let max_backoff_ms = self.max_backoff_ms.or(defaults.max_backoff_ms);
        let max_backoff_ms = max_backoff_ms.unwrap_or(RetryPolicy::DEFAULT_MAX_BACKOFF_MS);
        let backoff_ms = self.backoff_ms.or(defaults.backoff_ms).unwrap_or(RetryPolicy::DEFAULT_BACKOFF_MS);
        let on = self.on.clone().or_else(|| defaults.on.clone());
        RetryPolicy {
            max_attempts,
            backoff_ms: backoff_ms.min(max_backoff_ms),
            factor: self.factor.or(defaults.factor).unwrap_or(BackoffFactor::DEFAULT),
            max_backoff_ms,
            on: on.unwrap_or_else(|| RetryPolicy::REASONS.to_vec()),
        }
    }
}
