//! The clock of this process: the system's, or one that a test sets. Only the library that checks the dates in tokens
//! reads the system clock elsewhere.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The instant at which the monotonic clock of this process reads zero.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A clock in microseconds since 1970: the system's, or one that a test sets.
#[derive(Debug, Clone, Default)]
pub enum ProcessClock {
    /// The system clock.
    #[default]
    System,
    /// A clock that moves only by [`ProcessClock::advance`]. Clones share it.
    Manual(Arc<AtomicI64>),
}

impl ProcessClock {
    /// A clock that reads `micros` (microseconds since 1970) until it is advanced.
    pub fn manual_at(micros: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(micros)))
    }

    /// The current time, in microseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "every other reader of the time takes this clock")]
    pub fn now(&self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            Self::Manual(micros) => micros.load(Ordering::SeqCst),
        }
    }

    /// A monotonic time, in microseconds since some moment of this process. It runs as fast as [`ProcessClock::now`], and a change
    /// of the system date does not move it.
    pub fn monotonic_micros(&self) -> i64 {
        match self {
            Self::System => i64::try_from(BEGINNING.elapsed().as_micros()).unwrap_or(i64::MAX),
            Self::Manual(_) => self.now(),
        }
    }

    /// Advances a set clock by `micros`, which may be negative. The system clock does not change.
    pub fn advance(&self, micros: i64) {
        if let Self::Manual(at) = self {
            at.fetch_add(micros, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_counts_from_the_start_of_the_process() {
        let (first, second) =
            (ProcessClock::System.monotonic_micros(), ProcessClock::System.monotonic_micros());
        assert!(0 <= first && first <= second);
        assert!(
            second < ProcessClock::System.now() / 2,
            "it counts from the start of the process, not from 1970"
        );
    }

    #[test]
    fn advancing_a_set_clock_moves_both_readings() {
        let clock = ProcessClock::manual_at(7);
        clock.advance(1);
        assert_eq!((clock.now(), clock.monotonic_micros()), (8, 8));
    }
}
