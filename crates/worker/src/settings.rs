//! A worker's settings: its name, its slots, and its time limits.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::WorkerName;

/// How a worker identifies itself, how many tasks it runs, and how long it takes to stop.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name under which the worker claims tasks and reports them. While a process has the name, another one of this name
    /// waits until it has stopped or is lost.
    pub name: WorkerName,
    /// How many tasks it runs at once.
    pub slots: NonZeroU32,
    /// How long a slot stays empty after a task.
    pub delay_between_tasks: Duration,
    /// With Kafka: how long a task must have been ready before a worker with a free slot pulls it although its ticket went
    /// to another worker. `None`: never.
    pub steal_after: Option<Duration>,
    /// The interval between heartbeats.
    pub heartbeat: Duration,
    /// How long a stopping worker lets its tasks run before it releases them.
    pub drain: Duration,
}

impl Settings {
    /// The defaults, for a worker called `name`: 8 slots, a heartbeat every 2 s, 300 ms before stealing, 30 s to drain.
    pub fn named(name: WorkerName) -> Self {
        Self {
            name,
            slots: NonZeroU32::new(8).expect("8 is not 0"),
            delay_between_tasks: Duration::ZERO,
            steal_after: Some(Duration::from_millis(300)),
            heartbeat: Duration::from_secs(2),
            drain: Duration::from_secs(30),
        }
    }
}
