//! Makes events of the changes that were announced, and sends them to their readers.

use std::sync::Arc;
use std::time::Duration;

use domain::{Attempt, TaskEventKind, TaskId};
use store::{Store, TaskChange};
use telemetry::OutageLog;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::events::broadcaster::Broadcaster;
use crate::events::pending_changes::ChangeBatch;

/// The most changes whose tasks are read by one statement; also how many events a reader is sent before others run.
const MAX_BATCH: usize = 500;

/// How often the dispatcher checks whether anybody still reads.
const UNREAD_CHECK_PERIOD: Duration = Duration::from_secs(10);

/// Dispatches until `stop`. Without readers nothing is announced, and nothing is read of the database.
pub(crate) async fn run(store: Store, broadcaster: Arc<Broadcaster>, stop: CancellationToken) {
    let mut outage = OutageLog::new("reading the tasks of events");
    let mut unread_check = interval(UNREAD_CHECK_PERIOD);
    unread_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = broadcaster.pending.changed() => {}
            _ = unread_check.tick() => broadcaster.stop_if_unread(),
        }
        let ChangeBatch { mut changes, has_missed } = broadcaster.pending.take();
        if has_missed {
            broadcaster.publish_missed();
        }
        // A grant may be announced before the submission that another writer has committed a moment ago.
        changes.sort_by_key(order);
        changes.dedup();
        for batch in changes.chunks(MAX_BATCH) {
            match store.task_events(batch).await {
                Ok(events) => {
                    outage.record_success();
                    broadcaster.publish(events);
                }
                Err(error) => {
                    outage.record_failure(&error);
                    broadcaster.publish_missed();
                }
            }
        }
    }
}

/// The order of the changes of a task: the end is last, whatever attempt it names.
fn order(change: &TaskChange) -> (TaskId, bool, Attempt, TaskEventKind) {
    let TaskChange { id, kind, attempt } = *change;
    (id, kind == TaskEventKind::Ended, attempt, kind)
}
