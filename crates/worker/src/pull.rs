//! Work by pull: an ask that the Backend holds until there is some. Without Kafka all work comes so; beside it, an idle
//! worker takes over what waits in a busy worker's partition.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use crate::ask::Asker;
use crate::crew::Crew;
use crate::tide::Tide;

/// Asks for as many tasks as there are free slots, one ask at a time, until the worker stops.
pub(crate) async fn take_all(crew: Arc<Crew>, asker: Asker) {
    while let Some(free) = crew.free().await {
        let Some(granted) = asker.pull(free.num_permits(), Duration::ZERO, pending()).await else { return };
        crew.start(granted, free, &HashMap::new());
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
        if crew.stop.run_until_cancelled(tide.lull()).await.is_none() {
            return;
        }
        let is_live = tide.is_live();
        let Some(min_age) = (if is_live { steal_after } else { Some(Duration::ZERO) }) else {
            if crew.stop.run_until_cancelled(tide.turns(is_live)).await.is_none() {
                return;
            }
            continue;
        };
        let Some(mut free) = crew.free().await else { return };
        if is_live {
            // Half of the slots stay for tickets, which then need not wait until the ask has given way.
            drop(free.split(free.num_permits() / 2));
        }
        let Some(granted) = asker.pull(free.num_permits(), min_age, tide.turns(is_live)).await else {
            return;
        };
        if !granted.1.tasks.is_empty() {
            tracing::debug!("{} tasks were granted by pull", granted.1.tasks.len());
        }
        crew.start(granted, free, &HashMap::new());
    }
}
