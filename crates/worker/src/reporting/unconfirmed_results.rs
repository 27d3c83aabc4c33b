//! Results that Kafka has acknowledged, kept until a heartbeat's response confirms that their tasks have ended: a message
//! may be lost even so.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;

use domain::GrantRef;
use domain::limits::{MAX_RUNNING_PER_HEARTBEAT, MAX_SLOTS};

use crate::reporting::report_queue::{PendingReport, ReportQueue};

/// If this many heartbeats in a row report the task as still running, the Kafka message is presumed lost and the result is
/// sent over HTTP.
const MAX_UNCONFIRMED_HEARTBEATS: u32 = 2;

/// Results that are kept; further ones are sent over HTTP at once. A heartbeat names them beside the running tasks.
const MAX_RESULTS: usize = MAX_RUNNING_PER_HEARTBEAT - MAX_SLOTS as usize;

/// Bytes of results that are kept; further ones are sent over HTTP at once.
const MAX_BYTES: usize = 64 << 20;

/// The results that Kafka has acknowledged and no heartbeat has confirmed. Clones share them; the heartbeat's thread has one.
#[derive(Clone)]
pub(crate) struct UnconfirmedResults {
    state: Arc<Mutex<State>>,
    http_queue: ReportQueue,
}

#[derive(Default)]
struct State {
    results: HashMap<GrantRef, UnconfirmedResult>,
    bytes: usize,
}

struct UnconfirmedResult {
    pending: PendingReport,
    /// Responses to heartbeats that named the grant and did not say that it has ended.
    heartbeats: u32,
}

impl UnconfirmedResults {
    /// None yet. What must be sent over HTTP after all is added to `http_queue`.
    pub(crate) fn new(http_queue: ReportQueue) -> Self {
        Self { state: Arc::default(), http_queue }
    }

    /// Whether one more result may be added.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state();
        state.results.len() < MAX_RESULTS && state.bytes < MAX_BYTES
    }

    /// Adds a result that Kafka has acknowledged.
    pub(crate) fn add(&self, pending: PendingReport) {
        let grant = pending.grant();
        let mut state = self.state();
        state.bytes += pending.payload_bytes();
        let result = UnconfirmedResult { pending, heartbeats: 0 };
        if let Some(replaced) = state.results.insert(grant, result) {
            state.bytes -= replaced.pending.payload_bytes();
        }
    }

    /// The grants of all results, for the next heartbeat to ask about.
    pub(crate) fn grants(&self) -> Vec<GrantRef> {
        self.state().results.keys().copied().collect()
    }

    /// Applies the response to a heartbeat that named the grants `asked`: those in `stop` have ended, so their results are
    /// confirmed and dropped. What [`MAX_UNCONFIRMED_HEARTBEATS`] responses have not confirmed is sent over HTTP.
    pub(crate) fn apply_heartbeat_response(&self, asked: &[GrantRef], stop: &[GrantRef]) {
        let mut state = self.state();
        for ended in stop {
            state.remove(ended);
        }
        for grant in asked {
            let Some(result) = state.results.get_mut(grant) else { continue };
            result.heartbeats += 1;
            if result.heartbeats >= MAX_UNCONFIRMED_HEARTBEATS
                && let Some(pending) = state.remove(grant)
            {
                tracing::debug!(task.id = %grant.id, "no heartbeat confirmed a result that Kafka acknowledged: sending it over HTTP");
                self.http_queue.add(pending);
            }
        }
    }

    /// Sends everything over HTTP: the worker stops and waits for no more heartbeats.
    pub(crate) fn flush_to_http(&self) {
        let mut state = self.state();
        state.bytes = 0;
        for (_, result) in state.results.drain() {
            self.http_queue.add(result.pending);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn remove(&mut self, grant: &GrantRef) -> Option<PendingReport> {
        let UnconfirmedResult { pending, .. } = self.results.remove(grant)?;
        self.bytes -= pending.payload_bytes();
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{AttemptOutcome, ClaimId, RawJson, Report, TaskId};
    use uuid::Uuid;

    use super::*;
    use crate::deadline::{Deadline, SuspendAwareInstant};

    fn pending(task: u128) -> PendingReport {
        let reported = AttemptOutcome::Result(RawJson::parse("1".to_owned()).unwrap());
        let report = Report {
            id: TaskId(Uuid::from_u128(task)),
            type_name: "DEMO".parse().unwrap(),
            attempt: 1,
            claim: ClaimId::random(),
            reported,
            retry: None,
            trace: None,
        };
        PendingReport::new(report, Deadline::of(SuspendAwareInstant::now(), 0, 60_000))
    }

    #[tokio::test]
    async fn a_confirmed_result_is_dropped_and_an_unconfirmed_one_is_sent_over_http() {
        let (http_queue, mut over_http) = ReportQueue::new();
        let unconfirmed = UnconfirmedResults::new(http_queue);
        let (ended, lost) = (pending(1), pending(2));
        let [ended_grant, lost_grant] = [ended.grant(), lost.grant()];
        unconfirmed.add(ended);
        unconfirmed.add(lost);
        let asked = unconfirmed.grants();
        unconfirmed.apply_heartbeat_response(&asked, &[ended_grant]);
        assert_eq!(unconfirmed.grants(), [lost_grant]);
        unconfirmed.apply_heartbeat_response(&[], &[]);
        assert_eq!(
            unconfirmed.grants(),
            [lost_grant],
            "a heartbeat that did not ask about it does not count"
        );
        unconfirmed.apply_heartbeat_response(&asked, &[]);
        let resent = tokio::time::timeout(Duration::from_secs(1), over_http.recv()).await.unwrap().unwrap();
        assert_eq!(resent.grant(), lost_grant);
        assert!(unconfirmed.grants().is_empty() && unconfirmed.state().bytes == 0);
    }
}
