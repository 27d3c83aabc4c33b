//! Work by pull: an ask that the Backend holds until there is some. Without Kafka all work comes so; beside it, an idle
//! worker takes over what waits in a busy worker's partition.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::claiming::claim_client::{ClaimClient, MOST};
use crate::claiming::ticket_backlog::TicketBacklog;
use crate::deadline::SuspendAwareInstant;
use crate::execution::slots::Slots;

/// Between asks of a Backend that answers at once with nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for as many tasks as there are free slots, one ask at a time, until the worker stops.
pub(crate) async fn pull_loop(slots: Arc<Slots>, claim_client: ClaimClient) {
    while let Some(free) = slots.free().await {
        if take(&slots, &claim_client, free, Duration::ZERO, pending()).await.is_none() {
            return;
        }
    }
}

/// The same beside Kafka: what has waited for `steal_after`, for until then its ticket is on its way (`None`: nothing);
/// only while no ticket is at hand, and giving way as soon as one needs the slots. While Kafka brings nothing, all work
/// comes so.
pub(crate) async fn steal_loop(
    slots: Arc<Slots>,
    claim_client: ClaimClient,
    backlog: Arc<TicketBacklog>,
    steal_after: Option<Duration>,
) {
    loop {
        let is_live = backlog.is_live();
        if is_live && slots.stop.run_until_cancelled(backlog.until_idle()).await.is_none() {
            return;
        }
        let Some(min_age) = (if is_live { steal_after } else { Some(Duration::ZERO) }) else {
            if slots.stop.run_until_cancelled(backlog.turns(is_live)).await.is_none() {
                return;
            }
            continue;
        };
        let Some(mut free) = slots.free().await else { return };
        if is_live {
            // Half of the slots, if there are several, stay for tickets, which then need not wait until the ask gives way.
            drop(free.split(free.num_permits() / 2));
        }
        if take(&slots, &claim_client, free, min_age, backlog.turns(is_live)).await.is_none() {
            return;
        }
    }
}

/// One ask for as many tasks as there are `free` slots; `None` once the worker stops.
async fn take(
    slots: &Slots,
    claim_client: &ClaimClient,
    mut free: OwnedSemaphorePermit,
    min_age: Duration,
    preempt: impl Future<Output = ()>,
) -> Option<()> {
    // What one ask may not name is free for the next one.
    drop(free.split(free.num_permits().saturating_sub(MOST)));
    let sent = SuspendAwareInstant::now();
    let granted = claim_client.pull(free.num_permits(), min_age, preempt).await?;
    let count = granted.1.tasks.len();
    slots.start(granted, free, &HashMap::new());
    if count > 0 {
        tracing::debug!("{count} tasks were granted by pull");
    } else if sent.elapsed() < PAUSE {
        claim_client.pause(PAUSE).await?;
    }
    Some(())
}
