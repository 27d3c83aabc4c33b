//! The one place that announces that tasks have ended without a report.

use domain::{Reason, TaskId};
use store::{EndedTask, StoppedGrant};

use crate::metrics;
use crate::notify::notifier::Notifier;

/// Wakes the requests that wait for these tasks, tells the workers that were running them, counts the tasks, and logs each at `debug`.
pub(crate) fn announce_ended(notifier: &Notifier, ended: &[EndedTask]) {
    let ids: Vec<TaskId> = ended.iter().map(|ended| ended.id).collect();
    notifier.notify_ended(&ids);
    let stopped: Vec<StoppedGrant> = ended.iter().filter_map(EndedTask::stopped_grant).collect();
    notifier.notify_stopped(&stopped);
    for ended in ended {
        metrics::cancelled(ended);
        let reason = ended.reason.map_or("-", Reason::as_str);
        tracing::debug!(task.id = %ended.id, task.attempt = ended.attempt, reason, late_us = ended.late_us, "a task was cancelled");
    }
}
