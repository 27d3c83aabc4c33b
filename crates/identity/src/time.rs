//! Spans of time in microseconds, the unit of every instant in the tables.

use std::time::Duration;

/// A second in microseconds.
pub(crate) const SECOND: i64 = 1_000_000;
/// A minute in microseconds.
pub(crate) const MINUTE: i64 = 60 * SECOND;
/// An hour in microseconds.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// A day in microseconds.
pub(crate) const DAY: i64 = 24 * HOUR;

/// A duration of the settings, in microseconds.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
