//! Results that Kafka has acknowledged, kept until a heartbeat's response confirms that their tasks have ended: a message
//! may be lost even so.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::GrantRef;
use domain::limits::{MAX_RUNNING_PER_HEARTBEAT, MAX_SLOTS};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::reporting::report_queue::{PendingReport, ReportQueue};

/// Results that are kept; further ones are sent over HTTP at once. A heartbeat names them beside the running tasks.
const MAX_RESULTS: usize = MAX_RUNNING_PER_HEARTBEAT - MAX_SLOTS as usize;

/// Bytes of results that are kept; further ones are sent over HTTP at once.
const MAX_BYTES: usize = 64 << 20;

/// The results that Kafka has acknowledged and no heartbeat has confirmed. Clones share them; the heartbeat's thread has one.
#[derive(Clone)]
pub(crate) struct UnconfirmedResults {
    state: Arc<Mutex<State>>,
    /// A result must be asked about earlier than every one before.
    earlier_added: Arc<Notify>,
    /// How long the Backends may take to settle a result; less if a quarter of the task's remaining time is less, so that what
    /// is left is enough to send the result over HTTP.
    patience: Duration,
    http_queue: ReportQueue,
}

#[derive(Default)]
struct State {
    results: HashMap<GrantRef, UnconfirmedResult>,
    bytes: usize,
    /// When a heartbeat must ask about a result, at the earliest.
    ask_at: Option<Instant>,
}

struct UnconfirmedResult {
    pending: PendingReport,
    /// A heartbeat from then on that does not confirm the result shows that the Kafka message is lost, or waits for a Backend
    /// that is gone.
    ask_at: Instant,
}

impl UnconfirmedResults {
    /// None yet. What must be sent over HTTP after all, because no heartbeat has confirmed it after `patience` or a quarter of the
    /// task's remaining time, is added to `http_queue`.
    pub(crate) fn new(http_queue: ReportQueue, patience: Duration) -> Self {
        Self { state: Arc::default(), earlier_added: Arc::default(), patience, http_queue }
    }

    /// Whether one more result may be added.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state();
        state.results.len() < MAX_RESULTS && state.bytes < MAX_BYTES
    }

    /// Adds a result that Kafka has acknowledged.
    pub(crate) fn add(&self, pending: PendingReport) {
        let grant = pending.grant();
        let ask_at = Instant::now() + self.patience.min(pending.remaining() / 4);
        let mut state = self.state();
        if state.ask_at.is_none_or(|earliest| ask_at < earliest) {
            state.ask_at = Some(ask_at);
            self.earlier_added.notify_one();
        }
        state.bytes += pending.payload_bytes();
        let result = UnconfirmedResult { pending, ask_at };
        if let Some(replaced) = state.results.insert(grant, result) {
            state.bytes -= replaced.pending.payload_bytes();
        }
    }

    /// The grants of all results, for the next heartbeat to ask about.
    pub(crate) fn grants(&self) -> Vec<GrantRef> {
        self.state().results.keys().copied().collect()
    }

    /// Waits until a heartbeat must ask about a result. There may be one waiter only.
    pub(crate) async fn must_ask(&self) {
        loop {
            let ask_at = self.state().find_ask_at();
            tokio::select! {
                () = self.earlier_added.notified() => {}
                () = sleep_until(ask_at.unwrap_or_else(Instant::now)), if ask_at.is_some() => return,
            }
        }
    }

    /// Applies the response to a heartbeat that was sent at `sent` and named the grants `asked`: those in `stop` have ended, so
    /// their results are confirmed and dropped. Of the others, those that it was time to ask about are sent over HTTP.
    pub(crate) fn apply_heartbeat_response(&self, sent: Instant, asked: &[GrantRef], stop: &[GrantRef]) {
        let mut state = self.state();
        for ended in stop {
            state.remove(ended);
        }
        for grant in asked {
            let is_due = state.results.get(grant).is_some_and(|result| result.ask_at <= sent);
            if is_due && let Some(pending) = state.remove(grant) {
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
    /// When a heartbeat must ask about one of the results that are left.
    fn find_ask_at(&mut self) -> Option<Instant> {
        self.ask_at = self.results.values().map(|result| result.ask_at).min();
        self.ask_at
    }

    fn remove(&mut self, grant: &GrantRef) -> Option<PendingReport> {
        let UnconfirmedResult { pending, .. } = self.results.remove(grant)?;
        self.bytes -= pending.payload_bytes();
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use domain::{AttemptOutcome, ClaimId, RawJson, Report, TaskId};
    use uuid::Uuid;

    use super::*;
    use crate::deadline::{Deadline, SuspendAwareInstant};

    /// The time left for a task when its result is added, in milliseconds.
    const REMAINING_MS: u64 = 40_000;

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
        PendingReport::new(report, Deadline::of(SuspendAwareInstant::now(), 0, REMAINING_MS))
    }

    #[tokio::test]
    async fn a_confirmed_result_is_dropped_and_an_unconfirmed_one_is_sent_over_http() {
        let (http_queue, mut over_http) = ReportQueue::new();
        let patience = Duration::from_secs(2);
        let unconfirmed = UnconfirmedResults::new(http_queue, patience);
        let (ended, lost) = (pending(1), pending(2));
        let [ended_grant, lost_grant] = [ended.grant(), lost.grant()];
        let before = Instant::now();
        unconfirmed.add(ended);
        unconfirmed.add(lost);
        let (asked, due) = (unconfirmed.grants(), Instant::now() + patience);
        unconfirmed.apply_heartbeat_response(before + patience / 2, &asked, &[ended_grant]);
        assert_eq!(unconfirmed.grants(), [lost_grant], "it was not yet time to ask about the other");
        unconfirmed.apply_heartbeat_response(due, &[], &[]);
        assert_eq!(unconfirmed.grants(), [lost_grant], "this heartbeat did not ask about it");
        unconfirmed.apply_heartbeat_response(due, &asked, &[]);
        assert_eq!(over_http.recv().await.unwrap().grant(), lost_grant);
        assert!(unconfirmed.grants().is_empty() && unconfirmed.state().bytes == 0);
    }

    #[tokio::test]
    async fn a_heartbeat_is_due_when_a_quarter_of_the_time_that_is_left_has_passed() {
        let quarter = Duration::from_millis(REMAINING_MS / 4);
        let unconfirmed = UnconfirmedResults::new(ReportQueue::new().0, 10 * quarter);
        let before = Instant::now();
        unconfirmed.add(pending(1));
        let ask_at = unconfirmed.state().find_ask_at().unwrap();
        assert!((before + quarter / 2..=Instant::now() + quarter).contains(&ask_at));
        // An earlier one ends a wait that has begun.
        let add = async {
            let mut urgent = pending(2);
            urgent.deadline = Deadline::of(SuspendAwareInstant::now(), 0, 0);
            unconfirmed.add(urgent);
        };
        tokio::time::timeout(quarter / 2, async { tokio::join!(unconfirmed.must_ask(), add) }).await.unwrap();
    }
}
