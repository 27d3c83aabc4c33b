//! Logs once that the Backend cannot be reached and once that it can again, however many activities of the worker notice.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::time::Duration;

use client::ClientError;
use domain::WorkerName;
use telemetry::{Outage, error_chain};
use tracing::{info, warn};

/// The kinds of requests that a worker sends to the Backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendRequestKind {
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
    /// Keeps a heartbeat held at the Backend.
    HeldHeartbeat,
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
    failing: Vec<BackendRequestKind>,
}

impl BackendOutageLog {
    /// The log of the worker called `worker`.
    pub(crate) fn new(worker: WorkerName) -> Self {
        Self { worker, state: Arc::default() }
    }

    /// Records that a request of `request_kind` failed and will be retried. Each kind of error is logged once in an outage.
    pub(crate) fn record_failure(&self, request_kind: BackendRequestKind, error: &ClientError) {
        if self.state().record_failure(request_kind, kind(error)) {
            let (worker, cause) = (self.worker.as_str(), error_chain(error));
            warn!(
                worker.name = worker,
                error = cause,
                "worker {worker}: requests to the Backend fail and are retried: {cause}"
            );
        }
    }

    /// Records that a request of `request_kind` succeeded. The outage is over, and logged as such, when all kinds that
    /// failed have succeeded again.
    pub(crate) fn record_success(&self, request_kind: BackendRequestKind) {
        if let Some(lasted) = self.state().record_success(request_kind) {
            let worker = self.worker.as_str();
            let ms = u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX);
            info!(
                worker.name = worker,
                outage.ms = ms,
                "worker {worker}: requests to the Backend succeed again after {lasted:.1?}"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// `true`: this kind of error is new in this outage.
    fn record_failure(&mut self, request_kind: BackendRequestKind, kind: &str) -> bool {
        if !self.failing.contains(&request_kind) {
            self.failing.push(request_kind);
        }
        self.outage.record_failure(kind)
    }

    /// `Some`: this success ends an outage of this length.
    fn record_success(&mut self, request_kind: BackendRequestKind) -> Option<Duration> {
        self.failing.retain(|failing| *failing != request_kind);
        if self.failing.is_empty() { self.outage.record_success() } else { None }
    }
}

/// The kind of an error. The error's text cannot be used: it contains the URL, which differs for each kind of request.
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
        assert!(state.record_failure(BackendRequestKind::Pull, "unreachable"));
        assert!(!state.record_failure(BackendRequestKind::Pull, "unreachable"));
        assert!(!state.record_failure(BackendRequestKind::Heartbeat, "unreachable"));
        assert!(
            state.record_failure(BackendRequestKind::Heartbeat, "no token"),
            "another kind of error is logged too"
        );
        assert!(state.record_success(BackendRequestKind::Pull).is_none());
        assert!(state.record_success(BackendRequestKind::Pull).is_none());
        assert!(
            state.record_success(BackendRequestKind::Heartbeat).is_some(),
            "the last kind to recover ends the outage"
        );
        assert!(state.record_success(BackendRequestKind::Heartbeat).is_none());
        assert!(
            state.record_failure(BackendRequestKind::Pull, "unreachable"),
            "the next outage is logged again"
        );
    }
}
