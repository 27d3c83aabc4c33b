//! What follows the commit of accepted tasks.

use domain::{NotBefore, Priority, Submission, TaskEventKind};
use store::{Store, TaskChange};

use crate::metrics;
use crate::notify::notifier::Notifier;
use crate::notify::ticket_publisher::TicketPublisher;

/// Tolerance in microseconds: a task that becomes ready within it is announced at once, since the database's clock may be ahead of
/// the estimate.
const CLOCK_TOLERANCE_US: i64 = 1_000_000;

/// Counts the tasks, announces those that are ready, and sets timers for those that are delayed.
pub(crate) fn announce_accepted(
    store: &Store,
    notifier: &Notifier,
    tickets: Option<&TicketPublisher>,
    tasks: &[&Submission],
) {
    metrics::accepted(tasks.len());
    let created = |task: &&Submission| TaskChange { id: task.id, kind: TaskEventKind::Created, attempt: 0 };
    notifier.notify_changed(tasks.iter().map(created));
    let now = store.now();
    let delay = |task: &Submission| task.not_before.ready_at(now).micros_since(now);
    for blocked in tasks.iter().filter(|task| !task.options.after.is_empty()) {
        notifier.ended_parents.watch(&blocked.options.after);
    }
    let tasks = || tasks.iter().copied().filter(|task| task.options.after.is_empty());
    let ready = tasks().filter(|task| delay(task) < CLOCK_TOLERANCE_US);
    if let Some(tickets) = tickets {
        ready.clone().for_each(|task| tickets.publish_accepted(task));
    }
    let with_priority = tasks().filter(|task| task.options.priority != Priority::DEFAULT);
    let mut priorities = with_priority.map(|task| (task.type_name.clone(), task.options.priority)).peekable();
    if priorities.peek().is_some() {
        notifier.peer_outbox.add_priorities(priorities);
    }
    notifier.notify_ready(ready.map(|task| &task.type_name));
    let delayed = tasks().filter(|task| task.not_before != NotBefore::Submission);
    let delays_ms = delayed.map(|task| delay(task).max(0).cast_unsigned().div_ceil(1000));
    notifier.delay_timer.schedule(delays_ms);
}
