//! The one place that announces that tasks have ended without a report.

use domain::{Reason, TaskId};
use store::EndedTask;

use crate::metrics;
use crate::notify::notifier::Notifier;

/// Wakes the requests that wait for these tasks, counts the tasks, and logs each at `debug`.
pub(crate) fn announce_ended(notifier: &Notifier, ended: &[EndedTask]) {
    let ids: Vec<TaskId> = ended.iter().map(|ended| ended.id).collect();
    notifier.notify_ended(&ids);
    for ended in ended {
        metrics::cancelled(ended);
        let reason = ended.reason.map_or("-", Reason::as_str);
        tracing::debug!(task.id = %ended.id, task.attempt = ended.attempt, reason, late_us = ended.late, "a task was cancelled");
    }
}
