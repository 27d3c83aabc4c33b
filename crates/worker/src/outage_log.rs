//! Logs once that the Backend cannot be reached and once that it can again, however many activities of the worker notice.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

use client::ClientError;
use domain::WorkerName;
use telemetry::{Outage, error_chain};
use tracing::{info, warn};

/// An activity of a worker that sends requests to the Backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Registers the operations.
    Registration,
    /// Pulls tasks by type.
    Pull,
    /// Claims the tasks that tickets name.
    TicketClaim,
    /// Reports results and failures.
    Report,
    /// Sends heartbeats.
    Heartbeat,
}

/// The log of outages of the Backend, shared by all activities of one worker.
#[derive(Clone)]
pub(crate) struct BackendOutageLog {
    worker: WorkerName,
    state: Arc<Mutex<State>>,
}

/// The current outage, and the activities that it stops.
#[derive(Default)]
struct State {
    outage: Outage,
    failing: Vec<Activity>,
}

impl BackendOutageLog {
    /// The log of the worker called `worker`.
    pub(crate) fn new(worker: WorkerName) -> Self {
        Self { worker, state: Arc::default() }
    }

    /// Records that a request of `activity` failed and will be retried. Each kind of error is logged once in an outage.
    pub(crate) fn failed(&self, activity: Activity, error: &ClientError) {
        if self.state().failed(activity, kind(error)) {
            let (worker, cause) = (self.worker.as_str(), error_chain(error));
            warn!(
                worker.name = worker,
                error = cause,
                "worker {worker} keeps trying to reach the Backend: {cause}"
            );
        }
    }

    /// Records that a request of `activity` succeeded. The outage is over, and logged as such, when all activities that
    /// failed have succeeded again.
    pub(crate) fn succeeded(&self, activity: Activity) {
        if let Some(lasted) = self.state().succeeded(activity) {
            let worker = self.worker.as_str();
            let ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            info!(
                worker.name = worker,
                outage.ms = ms,
                "worker {worker} reaches the Backend again after {lasted:.1?}"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// `true`: this kind of error is new in this outage.
    fn failed(&mut self, activity: Activity, kind: &str) -> bool {
        if !self.failing.contains(&activity) {
            self.failing.push(activity);
        }
        self.outage.failed(kind)
    }

    /// `Some`: this success ends an outage of this length.
    fn succeeded(&mut self, activity: Activity) -> Option<Duration> {
        self.failing.retain(|failing| *failing != activity);
        if self.failing.is_empty() { self.outage.recovered() } else { None }
    }
}

/// The kind of an error. Its text would not do: it names the request's address, which is another one for each activity.
const fn kind(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { .. } => "unreachable",
        ClientError::Untrusted { .. } => "untrusted certificate",
        ClientError::Refused { .. } => "refused",
        ClientError::Token { .. } => "no token",
        ClientError::Unexpected { .. } => "unexpected answer",
        ClientError::BadAddress { .. } => "invalid address",
        ClientError::BadTls(_) => "TLS setup",
        ClientError::NoAuthority => "no certificate authority",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_logged_once_however_many_activities_notice_it() {
        let mut state = State::default();
        assert!(state.failed(Activity::Pull, "unreachable"));
        assert!(!state.failed(Activity::Pull, "unreachable"));
        assert!(!state.failed(Activity::Heartbeat, "unreachable"));
        assert!(state.failed(Activity::Heartbeat, "no token"), "another kind of error is logged too");
        assert!(state.succeeded(Activity::Pull).is_none());
        assert!(state.succeeded(Activity::Pull).is_none());
        assert!(
            state.succeeded(Activity::Heartbeat).is_some(),
            "the last activity to recover ends the outage"
        );
        assert!(state.succeeded(Activity::Heartbeat).is_none());
        assert!(state.failed(Activity::Pull, "unreachable"), "the next outage is logged again");
    }
}
