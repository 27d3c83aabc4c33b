//! Refreshes what this process caches of the database, and what it derives from it.

use std::sync::Arc;

use telemetry::OutageLog;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::kafka::ticket_republisher;

/// Refreshes the database's clock offset, the catalogue and the queues' topics each `check_period` until `stop`.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let mut check = interval(app.settings.check_period);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clock_outage = OutageLog::new("reading the database's clock");
    let mut catalogue_outage = OutageLog::new("reading the catalogue");
    while stop.run_until_cancelled(check.tick()).await.is_some() {
        // Neither depends on the success of the other.
        clock_outage.record(&app.store.read_database_clock().await);
        catalogue_outage.record(&app.catalogue.reload(&app.store).await);
        app.notifier.drop_closed_waiters();
        if let Some(broker) = &app.broker {
            ticket_republisher::ensure_topics(&app.catalogue, broker);
        }
    }
}
