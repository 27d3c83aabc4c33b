//! Deletes tasks that ended long ago.

use std::sync::Arc;
use std::time::Duration;

use database::DatabaseError;
use telemetry::OutageLog;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;

/// The time between two prunings.
const PERIOD: Duration = Duration::from_mins(1);

/// The most tasks that one statement deletes.
const MAX_BATCH: u32 = 500;

/// Prunes until `stop`.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = OutageLog::new("pruning ended tasks");
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        outage.record(&prune(&app, &stop).await);
    }
}

async fn prune(app: &AppState, stop: &CancellationToken) -> Result<(), DatabaseError> {
    let before = app.ago(app.settings.keep_ended);
    let mut pruned = 0;
    loop {
        let began = Instant::now();
        let deleted = app.store.prune(before, MAX_BATCH).await?;
        pruned += deleted;
        // Pause as long as the batch took, so pruning uses at most half of a connection's time.
        let pause = stop.run_until_cancelled(sleep(began.elapsed()));
        if deleted < u64::from(MAX_BATCH) || pause.await.is_none() {
            break;
        }
    }
    if pruned > 0 {
        tracing::info!(tasks = pruned, "pruned ended tasks");
    }
    Ok(())
}
