//! Loops that run beside the requests.

pub(crate) mod database_sampler;
pub(crate) mod deadline_sweeper;
pub(crate) mod delay_promoter;
pub(crate) mod dependency_resolver;
pub(crate) mod pruner;
pub(crate) mod refresher;
mod schedule_runs;
pub(crate) mod scheduler;
