//! Samples the metrics that need queries of the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use database::DatabaseError;
use domain::TypeName;
use telemetry::OutageLog;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::AppState;
use crate::metrics;

/// The time between two samples.
const PERIOD: Duration = Duration::from_secs(10);

/// Samples until `stop`.
pub(crate) async fn run(app: Arc<AppState>, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut outage = OutageLog::new("sampling the database's metrics");
    let mut slots_by_type = BTreeMap::new();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        outage.record(&sample(&app, &mut slots_by_type).await);
    }
}

/// `slots_by_type` holds every type that was ever sampled: the gauges of one that has no tasks and workers any more are set
/// to 0.
async fn sample(app: &AppState, slots_by_type: &mut BTreeMap<TypeName, u64>) -> Result<(), DatabaseError> {
    for slots in slots_by_type.values_mut() {
        *slots = 0;
    }
    let operations = app.catalogue.all();
    let workers = app.store.workers().await?;
    metrics::live_workers(workers.len());
    for worker in workers {
        // A worker may name any types: those of the catalogue alone become labels.
        for name in worker.types.into_iter().filter(|name| operations.contains_key(name)) {
            *slots_by_type.entry(name).or_default() += u64::from(worker.slots);
        }
    }
    let loads = app.store.type_loads().await?;
    for load in &loads {
        slots_by_type.entry(load.name.clone()).or_default();
    }
    for (name, slots) in slots_by_type {
        let load = loads.iter().find(|load| load.name == *name);
        metrics::type_load(name, load, *slots);
    }
    metrics::database_health(&app.store.health().await?);
    Ok(())
}
