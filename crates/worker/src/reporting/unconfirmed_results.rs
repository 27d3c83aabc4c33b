//! Results that Kafka has: kept until a heartbeat's answer says that their tasks have ended, for a message may be lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::GrantRef;

use crate::reporting::http_reporter::{PendingReport, Reports};

/// A task that so many heartbeats still name as open has lost its message: the result goes over HTTP.
const MAX_UNCONFIRMED_HEARTBEATS: u32 = 2;

/// The most results that are kept, and the most bytes of them; what comes beyond it goes over HTTP at once.
const MOST: usize = 20_000;
const MOST_BYTES: usize = 64 << 20;

/// The results that Kafka has. Shared with the heart's thread.
#[derive(Clone)]
pub(crate) struct UnconfirmedResults {
    shelf: Arc<Mutex<State>>,
    reports: Reports,
}

#[derive(Default)]
struct State {
    entries: HashMap<GrantRef, RunningGuard>,
    bytes: usize,
}

struct RunningGuard {
    pending: PendingReport,
    beats: u32,
}

impl UnconfirmedResults {
    /// What must go over HTTP after all goes to `reports`.
    pub(crate) fn before(reports: Reports) -> Self {
        Self { shelf: Arc::default(), reports }
    }

    /// Whether one more may be kept.
    pub(crate) fn has_room(&self) -> bool {
        let place = self.shelf();
        place.entries.len() < MOST && place.bytes < MOST_BYTES
    }

    /// Keeps a result that Kafka has.
    pub(crate) fn keep(&self, pending: PendingReport) {
        let held = pending.held();
        let mut place = self.shelf();
        place.bytes += pending.length();
        if let Some(before) = place.entries.insert(held, RunningGuard { pending, beats: 0 }) {
            place.bytes -= before.pending.length();
        }
    }

    /// All of them, for the heart to ask about.
    pub(crate) fn held(&self) -> Vec<GrantRef> {
        self.shelf().entries.keys().copied().collect()
    }

    /// The answer to a heartbeat that named `asked`: what must `stop` has ended, and is forgotten; what is still open after
    /// two answers is reported over HTTP.
    pub(crate) fn heard(&self, asked: &[GrantRef], stop: &[GrantRef]) {
        let mut place = self.shelf();
        for ended in stop {
            place.take(ended);
        }
        for held in asked {
            let Some(entry) = place.entries.get_mut(held) else { continue };
            entry.beats += 1;
            if entry.beats >= MAX_UNCONFIRMED_HEARTBEATS
                && let Some(pending) = place.take(held)
            {
                tracing::debug!(task.id = %held.id, "Kafka had the result and nobody settled it: it goes over HTTP");
                self.reports.add(pending);
            }
        }
    }

    /// The worker stops: what nobody has confirmed is reported over HTTP.
    pub(crate) fn clear(&self) {
        let mut place = self.shelf();
        place.bytes = 0;
        for (_, entry) in place.entries.drain() {
            self.reports.add(entry.pending);
        }
    }

    fn shelf(&self) -> MutexGuard<'_, State> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, held: &GrantRef) -> Option<PendingReport> {
        let RunningGuard { pending, .. } = self.entries.remove(held)?;
        self.bytes -= pending.length();
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{ClaimId, RawJson, Report, ReportOutcome, TaskId};
    use uuid::Uuid;

    use super::*;
    use crate::deadline::{Deadline, SuspendAwareInstant};

    fn pending(task: u128) -> PendingReport {
        let reported = ReportOutcome::Result(RawJson::parse("1".to_owned()).unwrap());
        let report = Report {
            id: TaskId(Uuid::from_u128(task)),
            attempt: 1,
            claim: ClaimId::random(),
            reported,
            trace: None,
        };
        PendingReport::new(report, Deadline::of(SuspendAwareInstant::now(), 0, 60_000))
    }

    #[tokio::test]
    async fn what_has_ended_is_forgotten_and_what_stays_open_is_reported_over_http() {
        let (reports, mut over_http) = Reports::new();
        let unconfirmed = UnconfirmedResults::before(reports);
        let (ended, lost) = (pending(1), pending(2));
        let [ended_held, lost_held] = [ended.held(), lost.held()];
        unconfirmed.keep(ended);
        unconfirmed.keep(lost);
        let asked = unconfirmed.held();
        unconfirmed.heard(&asked, &[ended_held]);
        assert_eq!(unconfirmed.held(), [lost_held]);
        unconfirmed.heard(&[], &[]);
        assert_eq!(unconfirmed.held(), [lost_held], "a beat that did not ask about it says nothing");
        unconfirmed.heard(&asked, &[]);
        let again = tokio::time::timeout(Duration::from_secs(1), over_http.recv()).await.unwrap().unwrap();
        assert_eq!(again.held(), lost_held);
        assert!(unconfirmed.held().is_empty() && unconfirmed.shelf().bytes == 0);
    }
}
