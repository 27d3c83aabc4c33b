//! The time, real or set by a test: the one place that reads the machine's clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the steady clock of this process begins.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds since 1970, from the machine or from a test.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that only moves when it is told to.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `micros` until it is moved.
    pub fn set_to(micros: i64) -> Self {
        Self::Set(Arc::new(AtomicI64::new(micros)))
    }

    /// Now, in microseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everyone else takes")]
    pub fn now(&self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            Self::Set(micros) => micros.load(Ordering::SeqCst),
        }
    }

    /// Microseconds since some moment of this process: they pass like those of [`Clock::now`], and nobody sets them.
    pub fn steady(&self) -> i64 {
        match self {
            Self::System => i64::try_from(BEGINNING.elapsed().as_micros()).unwrap_or(i64::MAX),
            Self::Set(_) => self.now(),
        }
    }

    /// Moves a set clock by `micros`; the machine's clock is not ours to move.
    pub fn advance(&self, micros: i64) {
        if let Self::Set(at) = self {
            at.fetch_add(micros, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_knows_no_date() {
        let (first, second) = (Clock::System.steady(), Clock::System.steady());
        assert!(0 <= first && first <= second);
        assert!(second < Clock::System.now() / 2, "it counts from this process, not from 1970");
    }

    #[test]
    fn a_set_clock_moves_both() {
        let clock = Clock::set_to(7);
        clock.advance(1);
        assert_eq!((clock.now(), clock.steady()), (8, 8));
    }
}
