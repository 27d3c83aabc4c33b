//! Publishes again the tickets of tasks that have been ready for long: a ticket may have been lost on its way.

use std::collections::BTreeSet;
use std::sync::Arc;

use broker::Broker;
use database::DatabaseError;
use domain::{QueueName, TypeName};
use telemetry::OutageLog;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::catalogue::Catalogue;
use crate::notify::ticket_publisher::TicketPublisher;

/// The most tickets that are republished in one period, so that a backlog is not made worse by its own tickets.
const MAX_TICKETS_PER_PERIOD: u32 = 500;

/// Republishes each `resend_period` until `stop`, then flushes the producer.
pub(crate) async fn run(app: Arc<AppState>, tickets: TicketPublisher, stop: CancellationToken) {
    let mut period = interval(app.settings.resend_period);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = OutageLog::new("republishing tickets");
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        // While Kafka is down, workers claim by type.
        if tickets.broker.is_up() {
            outage.record(&republish_waiting(&app, &tickets).await);
        }
    }
    tickets.broker.flush().await;
}

async fn republish_waiting(app: &AppState, tickets: &TicketPublisher) -> Result<(), DatabaseError> {
    // The round comes from the clock, so that it goes on after a restart.
    let period = u64::try_from(app.settings.resend_period.as_micros()).unwrap_or(u64::MAX).max(1);
    let round = app.store.now().0.unsigned_abs() / period;
    let types = types_with_live_workers(app).await?;
    let since = app.ago(app.settings.resend_period);
    let mut published = 0;
    for task in app.store.ready_tasks(&types, since, MAX_TICKETS_PER_PERIOD).await? {
        if tickets.publish_ready(&task, Some(round)) {
            published += 1;
        }
    }
    if published > 0 {
        tracing::debug!(tasks = published, "republished the tickets of waiting tasks");
    }
    Ok(())
}

/// The types that a live worker runs. Tasks of other types would use up [`MAX_TICKETS_PER_PERIOD`].
async fn types_with_live_workers(app: &AppState) -> Result<Vec<TypeName>, DatabaseError> {
    let workers = app.store.workers().await?;
    let types: BTreeSet<TypeName> = workers.into_iter().flat_map(|worker| worker.types).collect();
    Ok(types.into_iter().collect())
}

/// Declares the queues of all operations, so that the topic manager creates their topics.
pub(crate) fn ensure_topics(catalogue: &Catalogue, broker: &Broker) {
    let operations = catalogue.all();
    let queues: BTreeSet<&QueueName> =
        operations.values().map(|compiled| &compiled.operation.queue).collect();
    broker.declare_queues(queues);
}
