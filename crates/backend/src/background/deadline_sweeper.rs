//! Ends overdue tasks, and the tasks of workers that have fallen silent.

use std::sync::Arc;
use std::time::Duration;

use database::DatabaseError;
use telemetry::{Outage, error_chain};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::lifecycle::expire::expire;
use crate::lifecycle::worker_lost::end_tasks_of_silent_workers;

/// Sweeps until `stop`: when a deadline that this Backend knows passes, and each `check_period` regardless.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let mut check = interval(app.settings.check_period);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut window = HeartbeatWindow::default();
    let mut outage = Outage::default();
    loop {
        let swept = tokio::select! {
            () = stop.cancelled() => return,
            () = app.notifier.deadline_timer.wait_and_remove_passed() => expire(&app.store, &app.notifier).await,
            _ = check.tick() => check_all(&app, &mut window).await,
        };
        match swept {
            Ok(()) if outage.record_success().is_some() => {
                tracing::info!("the sweep of overdue tasks works again");
            }
            Ok(()) => {}
            Err(error) => {
                window = HeartbeatWindow::default();
                let cause = error_chain(&error);
                // Once for each outage, and an error rather than a warning: meanwhile no task ends at its deadline.
                if !outage.is_ongoing() {
                    tracing::error!(error = cause, "the sweep of overdue tasks failed; it is retried");
                }
                outage.record_failure(&cause);
            }
        }
    }
}

async fn check_all(app: &AppState, window: &mut HeartbeatWindow) -> Result<(), DatabaseError> {
    expire(&app.store, &app.notifier).await?;
    let silence = app.settings.worker_lost;
    let max_gap = (silence / 2).max(app.settings.check_period * 2);
    if window.observe(Instant::now(), max_gap) >= silence {
        end_tasks_of_silent_workers(&app.store, &app.notifier, silence).await?;
    }
    Ok(())
}

/// Since when this Backend has been able to receive heartbeats. Workers are declared lost only for silence within this
/// window; the Backend's own downtime (an outage of the database, a restart, a frozen process) does not count.
#[derive(Debug, Default)]
struct HeartbeatWindow {
    began: Option<Instant>,
    last_observed: Option<Instant>,
}

impl HeartbeatWindow {
    /// Records that heartbeats can be received now. Returns for how long they could, without a gap longer than `max_gap`.
    fn observe(&mut self, now: Instant, max_gap: Duration) -> Duration {
        if self.last_observed.is_none_or(|last| now - last > max_gap) {
            self.began = None;
        }
        self.last_observed = Some(now);
        now - *self.began.get_or_insert(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_counts_only_while_heartbeats_can_be_received() {
        let start = Instant::now();
        let mut window = HeartbeatWindow::default();
        assert_eq!(window.observe(start, 2 * SECOND), Duration::ZERO);
        assert_eq!(window.observe(start + SECOND, 2 * SECOND), SECOND);
        assert_eq!(window.observe(start + 3 * SECOND, 2 * SECOND), 3 * SECOND);
        let frozen = window.observe(start + 60 * SECOND, 2 * SECOND);
        assert_eq!(frozen, Duration::ZERO, "the process was frozen");
        assert_eq!(window.observe(start + 61 * SECOND, 2 * SECOND), SECOND);
    }
}
