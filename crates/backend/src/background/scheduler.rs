//! Runs schedules at their times.

use std::sync::Arc;

use telemetry::OutageLog;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::background::schedule_runs::run_due;

/// Runs schedules until `stop`: at each time that this Backend knows, and each `check_period` regardless, since other Backends
/// change schedules, too.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let mut check = interval(app.settings.check_period);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = OutageLog::new("running schedules");
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.notifier.schedule_timer.wait_and_remove_passed() => {}
            _ = check.tick() => {}
        }
        outage.record(&run_due(&app).await);
    }
}
