//! Pulls tasks by type: all tasks without Kafka; with Kafka, the tasks that have waited too long for another worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::limits::MAX_TASKS_PER_CLAIM;
use tokio::sync::OwnedSemaphorePermit;

use crate::claiming::claim_client::ClaimClient;
use crate::claiming::ticket_backlog::TicketBacklog;
use crate::deadline::SuspendAwareInstant;
use crate::execution::slots::Slots;

/// The pause after an empty response that came sooner than this: a Backend that cannot hold requests must not be flooded.
const EMPTY_RESPONSE_PAUSE: Duration = Duration::from_millis(100);

/// Pulls as many tasks as there are free slots, one request at a time, until the worker stops.
pub(crate) async fn pull_loop(slots: Arc<Slots>, claim_client: ClaimClient) {
    while let Some(acquired) = slots.acquire().await {
        let operations = claim_client.operations.current();
        let preempted = claim_client.operations.changed_from(&operations);
        if pull_once(&slots, &claim_client, acquired, Duration::ZERO, preempted).await.is_none() {
            return;
        }
    }
}

/// Pulls beside Kafka, until the worker stops. While Kafka delivers tickets, only tasks that have been ready for
/// `steal_after` are pulled (until then their ticket is on its way; `None`: none are pulled), only while the backlog is
/// idle, and only until a ticket needs a slot. While Kafka is unavailable, all tasks are pulled.
pub(crate) async fn steal_loop(
    slots: Arc<Slots>,
    claim_client: ClaimClient,
    backlog: Arc<TicketBacklog>,
    steal_after: Option<Duration>,
) {
    loop {
        let is_available = backlog.is_available();
        if is_available && slots.run_until_stopped(backlog.until_idle()).await.is_none() {
            return;
        }
        let preempted = backlog.until_ticket_needs_slot_or_availability_changes(is_available);
        let Some(min_age) = (if is_available { steal_after } else { Some(Duration::ZERO) }) else {
            if slots.run_until_stopped(preempted).await.is_none() {
                return;
            }
            continue;
        };
        let Some(mut acquired) = slots.acquire().await else { return };
        if is_available {
            // Half of the slots, if there are several, stay free for tickets, which then need not wait for the preemption.
            drop(acquired.split(acquired.num_permits() / 2));
        }
        if pull_once(&slots, &claim_client, acquired, min_age, preempted).await.is_none() {
            return;
        }
    }
}

/// Sends one pull for the `acquired` slots and dispatches what is granted; `None` once the worker stops.
async fn pull_once(
    slots: &Slots,
    claim_client: &ClaimClient,
    mut acquired: OwnedSemaphorePermit,
    min_age: Duration,
    preempt: impl Future<Output = ()>,
) -> Option<()> {
    // Slots beyond the limit of one request stay free for the next one.
    drop(acquired.split(acquired.num_permits().saturating_sub(MAX_TASKS_PER_CLAIM)));
    let sent = SuspendAwareInstant::now();
    let granted = claim_client.pull(acquired.num_permits(), min_age, preempt).await?;
    let count = granted.count();
    slots.dispatch(granted, acquired, &HashMap::new());
    if count > 0 {
        tracing::debug!("{count} tasks were granted by pull");
    } else if sent.elapsed() < EMPTY_RESPONSE_PAUSE {
        claim_client.pause(EMPTY_RESPONSE_PAUSE).await?;
    }
    Some(())
}
