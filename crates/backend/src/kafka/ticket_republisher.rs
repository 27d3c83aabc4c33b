//! What is ready is offered over Kafka: after the commit that made it so, and again while it stays ready.

use std::collections::BTreeSet;

use broker::{Broker, Ticket};
use database::DatabaseError;
use domain::{QueueName, Submission, TypeName};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::background::pruner::OutageLog;

/// The most tasks that one round offers again: bounded, so that a system that is full is not flooded as well.
const MOST: u32 = 500;

/// Offers tasks that have just been accepted. Kafka is never waited for: what it does not take is offered again later.
pub(crate) fn publish_ticket(broker: &Broker, batch: &[Submission]) {
    for task in batch {
        let ticket = Ticket { id: task.id, name: task.name.clone(), attempt: 1 };
        broker.publish_ticket(&task.queue, &ticket, task.trace, None);
    }
}

/// Offers again, each `resend_period` until `stop`, what has been ready for longer than that.
pub(crate) async fn republish_waiting(app: App, broker: Broker, stop: CancellationToken) {
    let mut period = interval(app.settings.resend_period);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = OutageLog::with("offering waiting tasks again");
    while stop.run_until_cancelled(period.tick()).await.is_some() {
        // While Kafka is away, workers pull.
        if broker.is_up() {
            trouble.heard(&again(&app, &broker).await);
        }
    }
    broker.flush().await;
}

async fn again(app: &App, broker: &Broker) -> Result<(), DatabaseError> {
    // Counted by the clock, so that it goes on after a restart.
    let period = u64::try_from(app.settings.resend_period.as_micros()).unwrap_or(u64::MAX).max(1);
    let round = app.store.now().0.unsigned_abs() / period;
    let served = served(app).await?;
    let since = app.ago(app.settings.resend_period);
    let waiting = app.store.ready_tasks(&served, since, MOST).await?;
    let offered = waiting.iter().filter(|task| {
        let ticket = Ticket { id: task.id, name: task.name.clone(), attempt: task.attempt + 1 };
        broker.publish_ticket(&task.queue, &ticket, None, Some(round))
    });
    let offered = offered.count();
    if offered > 0 {
        tracing::debug!(tasks = offered, "offered waiting tasks again");
    }
    Ok(())
}

/// The types that a live worker runs: one that nobody runs must not stand before the others.
async fn served(app: &App) -> Result<Vec<TypeName>, DatabaseError> {
    let alive = app.ago(app.settings.worker_lost);
    let workers = app.store.workers().await?.into_iter().filter(|worker| worker.seen_date >= alive);
    let types: BTreeSet<TypeName> = workers.flat_map(|worker| worker.types).collect();
    Ok(types.into_iter().collect())
}

/// Every queue of the catalogue.
pub(crate) fn ensure_topics(app: &App, broker: &Broker) {
    let known = app.catalogue.all();
    let queues: BTreeSet<&QueueName> = known.values().map(|known| &known.operation.queue).collect();
    broker.declare_queues(queues);
}
