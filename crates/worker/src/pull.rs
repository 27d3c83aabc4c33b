//! Work by pull: an ask that the Backend holds until there is some. Without Kafka all work comes so; beside it, an idle
//! worker takes over what waits in a busy worker's partition.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use crate::ask::{Asker, MOST};
use crate::crew::Crew;
use crate::deadline::Moment;
use crate::tide::Tide;

/// Between asks of a Backend that answers at once with nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for as many tasks as there are free slots, one ask at a time, until the worker stops.
pub(crate) async fn take_all(crew: Arc<Crew>, asker: Asker) {
    while let Some(free) = crew.free().await {
        if take(&crew, &asker, free, Duration::ZERO, pending()).await.is_none() {
            return;
        }
    }
}

/// The same beside Kafka: what has waited for `steal_after`, for until then its ticket is on its way (`None`: nothing);
/// only while no ticket is at hand, and giving way as soon as one needs the slots. While Kafka brings nothing, all work
/// comes so.
pub(crate) async fn take_what_waits(
    crew: Arc<Crew>,
    asker: Asker,
    tide: Arc<Tide>,
    steal_after: Option<Duration>,
) {
    loop {
        let is_live = tide.is_live();
        if is_live && crew.stop.run_until_cancelled(tide.lull()).await.is_none() {
            return;
        }
        let Some(min_age) = (if is_live { steal_after } else { Some(Duration::ZERO) }) else {
            if crew.stop.run_until_cancelled(tide.turns(is_live)).await.is_none() {
                return;
            }
            continue;
        };
        let Some(mut free) = crew.free().await else { return };
        if is_live {
            // Half of the slots, if there are several, stay for tickets, which then need not wait until the ask gives way.
            drop(free.split(free.num_permits() / 2));
        }
        if take(&crew, &asker, free, min_age, tide.turns(is_live)).await.is_none() {
            return;
        }
    }
}

/// One ask for as many tasks as there are `free` slots; `None` once the worker stops.
async fn take(
    crew: &Crew,
    asker: &Asker,
    mut free: OwnedSemaphorePermit,
    min_age: Duration,
    give_way: impl Future<Output = ()>,
) -> Option<()> {
    // What one ask may not name is free for the next one.
    drop(free.split(free.num_permits().saturating_sub(MOST)));
    let sent = Moment::now();
    let granted = asker.pull(free.num_permits(), min_age, give_way).await?;
    let count = granted.1.tasks.len();
    crew.start(granted, free, &HashMap::new());
    if count > 0 {
        tracing::debug!("{count} tasks were granted by pull");
    } else if sent.elapsed() < PAUSE {
        asker.pause(PAUSE).await?;
    }
    Some(())
}
