//! Decides what becomes of blocked tasks when tasks that they wait for have ended.

use std::sync::Arc;

use telemetry::OutageLog;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::lifecycle::unblock;
use crate::notify::ended_parents::Parents;

/// All blocked tasks are looked at once in so many check periods, since the Backend that accepted a task may be gone.
const CHECK_PERIODS: u32 = 10;

/// Resolves until `stop`: when tasks have ended, and periodically regardless. What failed is tried again by the periodic check.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let mut check = interval(app.settings.check_period * CHECK_PERIODS);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = OutageLog::new("deciding about tasks that wait for others");
    loop {
        let parents = tokio::select! {
            () = stop.cancelled() => return,
            () = app.notifier.ended_parents.changed() => app.notifier.ended_parents.take(),
            _ = check.tick() => Parents::All,
        };
        let parents = match &parents {
            Parents::All => None,
            Parents::Some(ended) => Some(&ended[..]),
        };
        let AppState { store, submitter, notifier, .. } = &*app;
        outage.record(&unblock::resolve_dependents(store, submitter, notifier, parents).await);
    }
}
