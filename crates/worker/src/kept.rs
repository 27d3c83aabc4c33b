//! Results that Kafka has: kept until a heartbeat's answer says that their tasks have ended, for a message may be lost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::Held;

use crate::report::{Pending, Reports};

/// A task that so many heartbeats still name as open has lost its message: the result goes over HTTP.
const BEATS: u32 = 2;

/// The most results that are kept, and the most bytes of them; what comes beyond it goes over HTTP at once.
const MOST: usize = 20_000;
const MOST_BYTES: usize = 64 << 20;

/// The results that Kafka has. Shared with the heart's thread.
#[derive(Clone)]
pub(crate) struct Kept {
    shelf: Arc<Mutex<Shelf>>,
    reports: Reports,
}

#[derive(Default)]
struct Shelf {
    entries: HashMap<Held, Entry>,
    bytes: usize,
}

struct Entry {
    pending: Pending,
    beats: u32,
}

impl Kept {
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
    pub(crate) fn keep(&self, pending: Pending) {
        let held = pending.held();
        let mut place = self.shelf();
        place.bytes += pending.length();
        if let Some(before) = place.entries.insert(held, Entry { pending, beats: 0 }) {
            place.bytes -= before.pending.length();
        }
    }

    /// All of them, for the heart to ask about.
    pub(crate) fn held(&self) -> Vec<Held> {
        self.shelf().entries.keys().copied().collect()
    }

    /// The answer to a heartbeat that named `asked`: what must `stop` has ended, and is forgotten; what is still open after
    /// two answers is reported over HTTP.
    pub(crate) fn heard(&self, asked: &[Held], stop: &[Held]) {
        let mut place = self.shelf();
        for ended in stop {
            place.take(ended);
        }
        for held in asked {
            let Some(entry) = place.entries.get_mut(held) else { continue };
            entry.beats += 1;
            if entry.beats >= BEATS
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

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn take(&mut self, held: &Held) -> Option<Pending> {
        let Entry { pending, .. } = self.entries.remove(held)?;
        self.bytes -= pending.length();
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{ClaimId, Json, Report, Reported, TaskId};
    use uuid::Uuid;

    use super::*;
    use crate::deadline::{Deadline, Moment};

    fn pending(task: u128) -> Pending {
        let reported = Reported::Result(Json::parse("1".to_owned()).unwrap());
        let report = Report {
            id: TaskId(Uuid::from_u128(task)),
            attempt: 1,
            claim: ClaimId::random(),
            reported,
            trace: None,
        };
        Pending::new(report, Deadline::of(Moment::now(), 0, 60_000))
    }

    #[tokio::test]
    async fn what_has_ended_is_forgotten_and_what_stays_open_is_reported_over_http() {
        let (reports, mut over_http) = Reports::new();
        let kept = Kept::before(reports);
        let (ended, lost) = (pending(1), pending(2));
        let [ended_held, lost_held] = [ended.held(), lost.held()];
        kept.keep(ended);
        kept.keep(lost);
        let asked = kept.held();
        kept.heard(&asked, &[ended_held]);
        assert_eq!(kept.held(), [lost_held]);
        kept.heard(&[], &[]);
        assert_eq!(kept.held(), [lost_held], "a beat that did not ask about it says nothing");
        kept.heard(&asked, &[]);
        let again = tokio::time::timeout(Duration::from_secs(1), over_http.recv()).await.unwrap().unwrap();
        assert_eq!(again.held(), lost_held);
        assert!(kept.held().is_empty() && kept.shelf().bytes == 0);
    }
}
