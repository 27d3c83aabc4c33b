//! What a submission asks for beyond type, parameters and times, completed and bounded by its operation.

use std::collections::BTreeMap;
use std::fmt::Display;

use domain::problem_types::tasks::OPTION_INVALID;
use domain::{Fault, Labels, Operation, Priority, RetryRequest, TaskId, TaskOptions, Ttl};

use crate::error::ApiError;

/// The options that a submission names.
#[derive(Debug, Default)]
pub(crate) struct RequestedOptions {
    pub(crate) priority: Option<Priority>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) retry: Option<RetryRequest>,
    pub(crate) total_ttl: Option<Ttl>,
    pub(crate) labels: Labels,
    pub(crate) after: Vec<TaskId>,
    pub(crate) parameters_from: BTreeMap<String, TaskId>,
}

impl RequestedOptions {
    /// The options of the task, with the defaults of `operation`. Fails if the submission asks for more than the operation allows.
    pub(crate) fn resolve(self, operation: &Operation) -> Result<TaskOptions, ApiError> {
        let (defaults, maxima) = (&operation.defaults, &operation.maxima);
        let mut faults = Vec::new();
        let name = &operation.name;
        let mut at_most = |field: &str, is_exceeded: bool, max: Option<String>| {
            if let (true, Some(max)) = (is_exceeded, max) {
                let detail = format!("{field} must be at most {max} for {name}");
                faults.push(Fault { pointer: format!("/{field}"), detail });
            }
        };
        let priority = self.priority.or(defaults.priority).unwrap_or_default();
        at_most("priority", exceeds(priority, maxima.priority), text(maxima.priority.map(Priority::get)));
        let max_attempts = self.max_attempts.or(defaults.max_attempts).unwrap_or(1);
        at_most("maxAttempts", exceeds(max_attempts, maxima.max_attempts), text(maxima.max_attempts));
        let total_ttl = self.total_ttl.or(defaults.total_ttl_ms);
        let is_too_long = total_ttl.is_some_and(|total| exceeds(total, maxima.total_ttl_ms));
        at_most("totalTtlMs", is_too_long, text(maxima.total_ttl_ms.map(Ttl::millis)));
        let request = self.retry.unwrap_or_default();
        let mut policy = request.policy(&defaults.retry.clone().unwrap_or_default(), max_attempts);
        if let Some(max) = maxima.backoff_ms {
            at_most("retry/backoffMs", request.backoff_ms.is_some_and(|pause| pause > max), text(Some(max)));
            at_most(
                "retry/maxBackoffMs",
                request.max_backoff_ms.is_some_and(|pause| pause > max),
                text(Some(max)),
            );
            policy.max_backoff_ms = policy.max_backoff_ms.min(max);
            policy.backoff_ms = policy.backoff_ms.min(max);
        }
        if !faults.is_empty() {
            return Err(ApiError::Invalid { of: &OPTION_INVALID, faults });
        }
        let retry = (max_attempts > 1).then_some(policy);
        Ok(TaskOptions {
            priority,
            retry,
            total_ttl_ms: total_ttl,
            labels: self.labels,
            after: self.after,
            parameters_from: self.parameters_from,
            ..TaskOptions::default()
        })
    }
}

impl From<TaskOptions> for RequestedOptions {
    /// The options with which a task is submitted again. It waits for no other task: its parameters are complete.
    fn from(options: TaskOptions) -> Self {
        let max_attempts = options.max_attempts();
        let retry = options.retry.map(|policy| RetryRequest {
            backoff_ms: Some(policy.backoff_ms),
            factor: Some(policy.factor),
            max_backoff_ms: Some(policy.max_backoff_ms),
            on: Some(policy.on),
        });
        Self {
            priority: Some(options.priority),
            max_attempts: Some(max_attempts),
            retry,
            total_ttl: options.total_ttl_ms,
            labels: options.labels,
            ..Self::default()
        }
    }
}

fn exceeds<T: PartialOrd + Copy>(value: T, max: Option<T>) -> bool {
    max.is_some_and(|max| value > max)
}

fn text(max: Option<impl Display + Copy>) -> Option<String> {
    max.map(|max| max.to_string())
}
