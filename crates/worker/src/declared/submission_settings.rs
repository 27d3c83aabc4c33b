//! What a declaration says about the submissions of its type: defaults and maxima, with the names that settings have.

use domain::{
    BackoffFactor, Priority, Reason, RetryPolicy, RetryRequest, SubmissionDefaults, SubmissionMaxima, Ttl,
};
use serde::Deserialize;

use crate::declared::declaration_error::BrokenRules;

/// What a submission has that does not say otherwise: [`SubmissionDefaults`] in TOML.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeclaredDefaults {
    /// The priority.
    priority: Option<Priority>,
    /// How long the task may wait for a claim, in milliseconds from when it is ready.
    start_within_ms: Option<Ttl>,
    /// How many attempts may fail.
    max_attempts: Option<u32>,
    /// When it is tried again.
    retry: Option<DeclaredRetry>,
    /// How long all attempts may take together, in milliseconds from the first claim.
    total_ttl_ms: Option<Ttl>,
}

/// When a task is tried again: [`RetryRequest`] in TOML.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DeclaredRetry {
    /// The pause after the first attempt, in milliseconds.
    backoff_ms: Option<u64>,
    /// What each further pause is multiplied by.
    factor: Option<BackoffFactor>,
    /// The longest pause, in milliseconds.
    max_backoff_ms: Option<u64>,
    /// The reasons for which the task is tried again.
    on: Option<Vec<Reason>>,
}

/// The most that a submission may ask for: [`SubmissionMaxima`] in TOML.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeclaredMaxima {
    /// The highest priority.
    priority: Option<Priority>,
    /// The longest time from the submission until the task is ready, in milliseconds.
    delay_ms: Option<u64>,
    /// The longest time that a task may wait for a claim, in milliseconds.
    start_within_ms: Option<Ttl>,
    /// The most attempts.
    max_attempts: Option<u32>,
    /// The longest pause between two attempts, in milliseconds.
    backoff_ms: Option<u64>,
    /// The longest time of all attempts together, in milliseconds.
    total_ttl_ms: Option<Ttl>,
}

/// The defaults and the maxima as they are registered.
pub(crate) fn compile(
    defaults: DeclaredDefaults,
    maxima: DeclaredMaxima,
    broken: &mut BrokenRules,
) -> (SubmissionDefaults, SubmissionMaxima) {
    check_attempts("defaults", defaults.max_attempts, broken);
    check_attempts("maxima", maxima.max_attempts, broken);
    check_order("priority", defaults.priority, maxima.priority, broken);
    check_order("start_within_ms", defaults.start_within_ms, maxima.start_within_ms, broken);
    check_order("max_attempts", defaults.max_attempts, maxima.max_attempts, broken);
    check_order("total_ttl_ms", defaults.total_ttl_ms, maxima.total_ttl_ms, broken);
    let mut retried = defaults.retry.iter().flat_map(|retry| retry.on.iter().flatten());
    let is_known = retried.all(|reason| RetryPolicy::REASONS.contains(reason));
    broken.check(is_known, || {
        "`defaults.retry.on` may hold OPERATION_FAILED, TTL_EXPIRED, LATE_RESULT and WORKER_LOST only"
            .to_owned()
    });
    let retry = |retry: DeclaredRetry| RetryRequest {
        backoff_ms: retry.backoff_ms,
        factor: retry.factor,
        max_backoff_ms: retry.max_backoff_ms,
        on: retry.on,
    };
    let defaults = SubmissionDefaults {
        priority: defaults.priority,
        start_within_ms: defaults.start_within_ms,
        max_attempts: defaults.max_attempts,
        retry: defaults.retry.map(retry),
        total_ttl_ms: defaults.total_ttl_ms,
    };
    let maxima = SubmissionMaxima {
        priority: maxima.priority,
        delay_ms: maxima.delay_ms,
        start_within_ms: maxima.start_within_ms,
        max_attempts: maxima.max_attempts,
        backoff_ms: maxima.backoff_ms,
        total_ttl_ms: maxima.total_ttl_ms,
    };
    (defaults, maxima)
}

fn check_attempts(table: &str, attempts: Option<u32>, broken: &mut BrokenRules) {
    let max = RetryPolicy::MAX_ATTEMPTS;
    let is_in_range = attempts.is_none_or(|attempts| (1..=max).contains(&attempts));
    broken.check(is_in_range, || format!("`{table}.max_attempts` must be 1 to {max}"));
}

/// A default above the maximum would have every submission refused that does not name the value.
fn check_order<T: PartialOrd>(key: &str, default: Option<T>, max: Option<T>, broken: &mut BrokenRules) {
    let is_ordered = default.zip(max).is_none_or(|(default, max)| default <= max);
    broken.check(is_ordered, || format!("`defaults.{key}` must be at most `maxima.{key}`"));
}
