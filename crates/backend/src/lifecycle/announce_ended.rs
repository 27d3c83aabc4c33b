//! The one place that announces that attempts have ended without a report.

use domain::{Reason, TaskEventKind, TaskId, Timestamp};
use store::{EndedAttempts, EndedTask, RetriedTask, StoppedGrant, TaskChange};

use crate::metrics;
use crate::notify::notifier::Notifier;

/// Announces what became of the tasks of attempts that were ended. `now` is an estimate of the database's clock.
pub(crate) fn announce_attempts(notifier: &Notifier, attempts: &EndedAttempts, now: Timestamp) {
    if !attempts.ended.is_empty() {
        announce_ended(notifier, &attempts.ended);
    }
    let ready_dates = attempts.retried.iter().map(|retried| retried.ready_at);
    notifier.schedule_ready(ready_dates, now);
    let ended = |retried: &RetriedTask| TaskChange {
        id: retried.id,
        kind: TaskEventKind::AttemptEnded,
        attempt: retried.attempt,
    };
    notifier.notify_changed(attempts.retried.iter().map(ended));
    let stopped: Vec<StoppedGrant> = attempts.retried.iter().filter_map(RetriedTask::stopped_grant).collect();
    notifier.notify_stopped(&stopped);
    for RetriedTask { id, attempt, reason, late_us, .. } in &attempts.retried {
        metrics::retried(*reason);
        tracing::debug!(task.id = %id, task.attempt = attempt, %reason, late_us, "an attempt has ended; its task is tried again");
    }
}

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
