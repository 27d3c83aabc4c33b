//! Lower bounds for index scans: below a floor a scan has found only dead entries, so later scans begin there.
//!
//! While a transaction holds a snapshot (a backup, a long query) PostgreSQL may not remove dead entries, and each scan from
//! the low end of an index reads all of them again. Each scan therefore starts where the last one found a row, or a little before
//! now if that is lower. A full scan every few seconds finds the rows that a slow commit added below the floor.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::priorities_in_use::ScanKey;

/// How long a commit may take, in microseconds: rows that are older have been found, or wait for a full scan. It is
/// subtracted from now, not from the last row found: in an old backlog one second may hold 100,000 tasks, which each scan would read
/// again.
const COMMIT_TIME: i64 = 250_000;

/// How often a scan over ready tasks is a full one.
const FULL_SCAN_OF_READY: Duration = Duration::from_secs(3);

/// How often a scan over deadlines is a full one: a deadline below the floor is late by this much at most.
const FULL_SCAN_OF_DUE: Duration = Duration::from_millis(1500);

#[derive(Debug)]
struct Floor {
    /// Microseconds since 1970.
    at: i64,
    last_full_scan: Instant,
}

impl Floor {
    /// Where the scan of `instant` starts: at the floor, or at the low end of the index if a full scan is due.
    fn start(&mut self, now: i64, full_scan_every: Duration, instant: Instant) -> i64 {
        if instant.saturating_duration_since(self.last_full_scan) < full_scan_every {
            return self.at.min(now.saturating_sub(COMMIT_TIME));
        }
        self.last_full_scan = instant;
        i64::MIN
    }
}

/// The floors of every index that is scanned. Instants are microseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    ready: ReadyFloors,
    /// Floors of scans that skip young tasks. These scans stop at an earlier instant, and their full scans do not cover the
    /// rows after it.
    aged: ReadyFloors,
    due: Mutex<Option<Floor>>,
}

/// The floors of scans for ready tasks.
#[derive(Debug, Default)]
pub(crate) struct ReadyFloors(Mutex<HashMap<ScanKey, Floor>>);

impl ReadyFloors {
    /// Where a scan starts.
    pub(crate) fn scan_start(&self, key: &ScanKey, now: i64) -> i64 {
        let start = |floor: &mut Floor| floor.start(now, FULL_SCAN_OF_READY, Instant::now());
        self.0.lock().get_mut(key).map_or(i64::MIN, start)
    }

    /// Records that a scan found its first task at `ready_at`.
    pub(crate) fn found(&self, key: &ScanKey, ready_at: i64) {
        self.set(key, ready_at, |_| ready_at);
    }

    /// Records that a scan found no task up to `end`. A concurrent scan may have come further.
    pub(crate) fn scanned_to(&self, key: &ScanKey, end: i64) {
        self.set(key, end, |at| at.max(end));
    }

    fn set(&self, key: &ScanKey, first: i64, next: impl FnOnce(i64) -> i64) {
        let mut floors = self.0.lock();
        let floor =
            floors.entry(key.clone()).or_insert_with(|| Floor { at: first, last_full_scan: Instant::now() });
        floor.at = next(floor.at);
    }
}

impl Floors {
    /// The floors of scans for tasks that have been ready for at least `min_age` microseconds.
    pub(crate) fn for_min_age(&self, min_age: i64) -> &ReadyFloors {
        if min_age > 0 { &self.aged } else { &self.ready }
    }

    /// Where a scan over deadlines starts.
    pub(crate) fn due_start(&self, now: i64) -> i64 {
        self.due.lock().as_mut().map_or(i64::MIN, |floor| floor.start(now, FULL_SCAN_OF_DUE, Instant::now()))
    }

    /// Records that every task that was due at `now` has been ended.
    pub(crate) fn due_scanned_to(&self, now: i64) {
        let mut due = self.due.lock();
        due.get_or_insert_with(|| Floor { at: now, last_full_scan: Instant::now() }).at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_starts_at_the_low_end_every_so_often() {
        let start = Instant::now();
        let mut floor = Floor { at: 5_000_000, last_full_scan: start };
        let mut begin = |now, after| floor.start(now, FULL_SCAN_OF_DUE, start + Duration::from_millis(after));
        assert_eq!(begin(9_000_000, 0), 5_000_000);
        assert_eq!(begin(5_000_000, 1499), 4_750_000, "a row that is being committed may lie lower");
        assert_eq!(begin(9_000_000, 1500), i64::MIN);
        assert_eq!(begin(9_000_000, 2999), 5_000_000);
        assert_eq!(begin(9_000_000, 3000), i64::MIN);
    }
}
