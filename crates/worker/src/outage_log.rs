//! Says once that the Backend does not answer, and once that it does again, however many parts of the worker notice.

use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::ClientError;
use domain::WorkerName;
use telemetry::error_chain;
use tracing::{info, warn};

/// The parts of a worker that speak to the Backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Its operations are entered into the catalogue.
    Registration,
    /// It asks for work.
    Asks,
    /// It claims what its tickets name.
    Claims,
    /// It says what became of it.
    Reports,
    /// It shows that it lives.
    HeartbeatSender,
}

/// The way to the Backend, as the parts of one worker see it.
#[derive(Clone)]
pub(crate) struct BackendOutageLog {
    worker: WorkerName,
    outage: Arc<Mutex<Outage>>,
}

/// A time in which requests come to nothing; none while no part fails.
struct Outage<Kind = Discriminant<ClientError>> {
    since: Instant,
    failing: Vec<Activity>,
    said: Vec<Kind>,
}

impl BackendOutageLog {
    pub(crate) fn new(worker: WorkerName) -> Self {
        Self { worker, outage: Arc::default() }
    }

    /// A request of `part` came to nothing and will be tried again.
    pub(crate) fn failed(&self, part: Activity, error: &ClientError) {
        if self.outage().failed(part, discriminant(error)) {
            let (worker, why) = (self.worker.as_str(), error_chain(error));
            warn!(
                worker.name = worker,
                error = why,
                "worker {worker} keeps trying to reach the Backend: {why}"
            );
        }
    }

    /// A request of `part` went through.
    pub(crate) fn went_through(&self, part: Activity) {
        if let Some(lasted) = self.outage().went_through(part) {
            let worker = self.worker.as_str();
            let ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            info!(
                worker.name = worker,
                outage.ms = ms,
                "worker {worker} reaches the Backend after {lasted:.1?}"
            );
        }
    }

    fn outage(&self) -> MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Kind: PartialEq> Outage<Kind> {
    /// Whether this is to be said: each kind of error is, once.
    fn failed(&mut self, part: Activity, kind: Kind) -> bool {
        if self.failing.is_empty() {
            self.since = Instant::now();
        }
        if !self.failing.contains(&part) {
            self.failing.push(part);
        }
        let is_new = !self.said.contains(&kind);
        if is_new {
            self.said.push(kind);
        }
        is_new
    }

    /// How long the outage was, if this ends it: when every part that failed has gone through.
    fn went_through(&mut self, part: Activity) -> Option<Duration> {
        let was_failing = !self.failing.is_empty();
        self.failing.retain(|failing| *failing != part);
        let is_over = was_failing && self.failing.is_empty();
        is_over.then(|| {
            self.said.clear();
            self.since.elapsed()
        })
    }
}

impl<Kind> Default for Outage<Kind> {
    fn default() -> Self {
        Self { since: Instant::now(), failing: Vec::new(), said: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_once_however_many_notice() {
        let mut outage = Outage::default();
        assert!(outage.failed(Activity::Asks, "unreachable"));
        assert!(!outage.failed(Activity::Asks, "unreachable"));
        assert!(!outage.failed(Activity::HeartbeatSender, "unreachable"));
        assert!(outage.failed(Activity::HeartbeatSender, "no such account"), "another kind of error is news");
        assert!(outage.went_through(Activity::Asks).is_none());
        assert!(outage.went_through(Activity::Asks).is_none());
        assert!(
            outage.went_through(Activity::HeartbeatSender).is_some(),
            "the last part to come back ends it"
        );
        assert!(outage.went_through(Activity::HeartbeatSender).is_none());
        assert!(outage.failed(Activity::Asks, "unreachable"), "the next outage is said again");
    }
}
