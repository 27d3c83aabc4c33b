//! The end of sessions that may have become read-only: after a switchover the former primary still answers, and a session
//! that stays on it would refuse every write and read old rows for ever.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::process_clock::ProcessClock;

/// A session younger than this is kept: otherwise each statement would reconnect until there is a new primary.
const MIN_AGE: Duration = Duration::from_secs(1);

/// When a session of this process last refused a write, in microseconds of the monotonic clock. One for all databases of the
/// process: an unneeded reconnection costs milliseconds.
static LAST_REFUSAL: AtomicI64 = AtomicI64::new(i64::MIN);

/// Records that a session has refused a write because it may only read.
pub(crate) fn record_read_only_session() {
    LAST_REFUSAL.store(ProcessClock::System.monotonic_micros(), Ordering::Relaxed);
}

/// Whether a session that was opened `age` ago must be closed: it is older than the last refusal of a write, so it may lead
/// to a server that has become a standby.
pub fn may_lead_to_standby(age: Duration) -> bool {
    let age_micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let opened_at = ProcessClock::System.monotonic_micros().saturating_sub(age_micros);
    age >= MIN_AGE && opened_at <= LAST_REFUSAL.load(Ordering::Relaxed)
}
