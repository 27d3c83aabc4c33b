//! Where the work lies: below a floor an index holds only the dead entries of what has moved on.
//!
//! While somebody holds a snapshot (a backup, a long query) PostgreSQL may not clear dead entries away, and each walk
//! over the low end of an index meets all of them again. Each walk therefore begins where the last one found something, or
//! a little before now if that is lower; a full walk every few seconds catches what a slow commit left lower.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use domain::TypeName;

/// How long a commit may be under way, in microseconds: what is older has been seen, or never will be. Counted from now
/// and not from the last find, because an old backlog may hold a hundred thousand tasks of one second.
const SLACK: i64 = 250_000;

/// How often a walk over ready tasks begins at the very bottom.
const FULL_READY: Duration = Duration::from_secs(3);

/// How often the sweep does: a deadline that it missed is late by this much.
const FULL_DUE: Duration = Duration::from_millis(1500);

#[derive(Debug)]
struct Floor {
    at: i64,
    walked_fully: Instant,
}

impl Floor {
    /// Where the next walk begins.
    fn begin(&mut self, now: i64, full: Duration, instant: Instant) -> i64 {
        if instant.saturating_duration_since(self.walked_fully) < full {
            return self.at.min(now.saturating_sub(SLACK));
        }
        self.walked_fully = instant;
        i64::MIN
    }
}

/// The floors of everything that is walked.
#[derive(Debug, Default)]
pub(crate) struct Floors {
    ready: TypeFloors,
    /// Of walks that leave the young alone: their ends lie lower, and when they were at the bottom says nothing of what
    /// lies higher.
    aged: TypeFloors,
    due: Mutex<Option<Floor>>,
}

/// The floor of each type's ready tasks.
#[derive(Debug, Default)]
pub(crate) struct TypeFloors(Mutex<HashMap<TypeName, Floor>>);

impl TypeFloors {
    /// Where a walk over each of `types` begins.
    pub(crate) fn of(&self, types: &[TypeName], now: i64) -> Vec<i64> {
        let mut lanes = self.0.lock().expect("no panic while it is held");
        let begin = |floor: &mut Floor| floor.begin(now, FULL_READY, Instant::now());
        types.iter().map(|name| lanes.get_mut(name).map_or(i64::MIN, begin)).collect()
    }

    /// A walk found its first task of `name` at `place`.
    pub(crate) fn found(&self, name: &TypeName, place: i64) {
        self.floor(name, place, |_| place);
    }

    /// A walk found no task of `name` and came to `end`, where it left off. Another may have come further.
    pub(crate) fn walked_to(&self, name: &TypeName, end: i64) {
        self.floor(name, end, |at| at.max(end));
    }

    fn floor(&self, name: &TypeName, first: i64, next: impl FnOnce(i64) -> i64) {
        let mut lanes = self.0.lock().expect("no panic while it is held");
        let floor =
            lanes.entry(name.clone()).or_insert_with(|| Floor { at: first, walked_fully: Instant::now() });
        floor.at = next(floor.at);
    }
}

impl Floors {
    /// The lanes of walks that ask for tasks of at least `age`.
    pub(crate) fn lanes(&self, age: i64) -> &TypeFloors {
        if age > 0 { &self.aged } else { &self.ready }
    }

    /// Where the sweep begins.
    pub(crate) fn of_due(&self, now: i64) -> i64 {
        self.due
            .lock()
            .expect("no panic while it is held")
            .as_mut()
            .map_or(i64::MIN, |floor| floor.begin(now, FULL_DUE, Instant::now()))
    }

    /// The sweep has ended everything that was due at `now`.
    pub(crate) fn swept(&self, now: i64) {
        let mut due = self.due.lock().expect("no panic while it is held");
        due.get_or_insert_with(|| Floor { at: now, walked_fully: Instant::now() }).at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_begins_at_the_bottom_every_so_often() {
        let start = Instant::now();
        let mut floor = Floor { at: 5_000_000, walked_fully: start };
        let mut begin = |now, after| floor.begin(now, FULL_DUE, start + Duration::from_millis(after));
        assert_eq!(begin(9_000_000, 0), 5_000_000);
        assert_eq!(begin(5_000_000, 1499), 4_750_000, "what is being committed may lie lower");
        assert_eq!(begin(9_000_000, 1500), i64::MIN);
        assert_eq!(begin(9_000_000, 2999), 5_000_000);
        assert_eq!(begin(9_000_000, 3000), i64::MIN);
    }
}
