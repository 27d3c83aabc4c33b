//! Deletes tasks that ended long ago, and forgets idempotency keys that were used long ago.

use std::sync::Arc;
use std::time::Duration;

use database::DatabaseError;
use telemetry::OutageLog;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;

/// The time between two prunings.
const PERIOD: Duration = Duration::from_mins(1);

/// The most rows that one statement deletes.
const MAX_BATCH: u32 = 500;

/// How long an idempotency key counts, at least.
const KEEP_KEYS: Duration = Duration::from_hours(24);

/// Prunes until `stop`.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let mut period = interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tasks_outage = OutageLog::new("pruning ended tasks");
    let mut keys_outage = OutageLog::new("pruning idempotency keys");
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        let before = app.ago(app.settings.keep_ended);
        let pruned = prune(&stop, || app.store.prune(before, MAX_BATCH)).await;
        tasks_outage.record(&pruned);
        if let Ok(tasks @ 1..) = pruned {
            tracing::info!(tasks, "pruned ended tasks");
        }
        let before = app.ago(KEEP_KEYS);
        let keys = || app.store.prune_idempotency_keys(before, MAX_BATCH);
        keys_outage.record(&prune(&stop, keys).await);
    }
}

/// Deletes batch after batch until one is not full, and returns the number of deleted rows.
async fn prune<F: Future<Output = Result<u64, DatabaseError>>>(
    stop: &CancellationToken,
    delete_batch: impl Fn() -> F,
) -> Result<u64, DatabaseError> {
    let mut pruned = 0;
    loop {
        let began = Instant::now();
        let deleted = delete_batch().await?;
        pruned += deleted;
        // Pause as long as the batch took, so pruning uses at most half of a connection's time.
        let pause = stop.run_until_cancelled(sleep(began.elapsed()));
        if deleted < u64::from(MAX_BATCH) || pause.await.is_none() {
            return Ok(pruned);
        }
    }
}
