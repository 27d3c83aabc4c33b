//! The time, real or set by a test: the one place that reads the machine's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

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

    /// Moves a set clock by `micros`; the machine's clock is not ours to move.
    pub fn advance(&self, micros: i64) {
        if let Self::Set(at) = self {
            at.fetch_add(micros, Ordering::SeqCst);
        }
    }
}
