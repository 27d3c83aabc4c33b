//! Makes delayed tasks ready when their time has come, and announces them.

use std::sync::Arc;

use database::DatabaseError;
use store::PROMOTE_BATCH_SIZE;
use telemetry::OutageLog;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::notify::ticket_publisher::TicketPublisher;

/// Promotes until `stop`: when a task becomes ready that this Backend has accepted, and each `check_period` regardless, since
/// the Backend that accepted a task may be gone.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let tickets = app.tickets();
    let mut check = interval(app.settings.check_period);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = OutageLog::new("making delayed tasks ready");
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.notifier.delay_timer.wait_and_remove_passed() => {}
            _ = check.tick() => {}
        }
        outage.record(&promote_all(&app, tickets.as_ref()).await);
    }
}

async fn promote_all(app: &AppState, tickets: Option<&TicketPublisher>) -> Result<(), DatabaseError> {
    loop {
        let ready = app.store.promote_delayed().await?;
        if let Some(tickets) = tickets {
            for task in &ready {
                tickets.publish_ready(task, None);
            }
        }
        if !ready.is_empty() {
            app.notifier.notify_ready(ready.iter().map(|task| &task.type_name));
        }
        if ready.len() < PROMOTE_BATCH_SIZE {
            return Ok(());
        }
    }
}
