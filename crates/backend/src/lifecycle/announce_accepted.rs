//! What follows the commit of accepted tasks.

use domain::{NotBefore, Submission};
use store::Store;

use crate::metrics;
use crate::notify::notifier::Notifier;
use crate::notify::ticket_publisher::TicketPublisher;

/// A task that becomes ready so soon, in microseconds, may count as ready for the database, whose clock is only estimated here: it
/// is announced as ready at once, too.
const CLOCK_TOLERANCE_US: i64 = 1_000_000;

/// Counts the tasks, announces those that are ready, and sets timers for the others.
pub(crate) fn announce_accepted(
    store: &Store,
    notifier: &Notifier,
    tickets: Option<&TicketPublisher>,
    tasks: &[Submission],
) {
    metrics::accepted(tasks.len());
    let now = store.now();
    let delay = |task: &&Submission| task.not_before.ready_at(now).micros_since(now);
    let ready = tasks.iter().filter(|task| delay(task) < CLOCK_TOLERANCE_US);
    if let Some(tickets) = tickets {
        ready.clone().for_each(|task| tickets.publish_accepted(task));
    }
    notifier.notify_ready(ready.map(|task| &task.type_name));
    let delayed = tasks.iter().filter(|task| task.not_before != NotBefore::Submission);
    let delays_ms = delayed.map(|task| delay(&task).max(0).cast_unsigned().div_ceil(1000));
    notifier.delay_timer.schedule(delays_ms);
}
