//! The time to live of a task: how long an attempt may run, counted in milliseconds from its grant.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A time to live in whole milliseconds: at least 1, at most a thousand years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "u64", into = "u64")]
#[schema(value_type = u64, minimum = 1, maximum = 31_536_000_000_000_u64, examples(5000))]
pub struct Ttl(u64);

/// Why a number is not a valid time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTtl {
    /// 0 ms: no task could finish.
    #[error("ttl is 0 ms; it must be at least 1")]
    Zero,
    /// Longer than the settings allow.
    #[error("ttl is above {max} ms, the longest that is allowed here")]
    TooLong {
        /// The longest time to live that is allowed, in milliseconds.
        max: u64,
    },
}

impl Ttl {
    /// Seven days: the longest time to live that is allowed unless the settings say otherwise.
    pub const DEFAULT_MAX: Self = Self(7 * 24 * 60 * 60 * 1000);

    /// A thousand years: the longest time to live that a setting may allow. It fits the integers of both databases.
    pub const MAX: Self = Self(1000 * 365 * 24 * 60 * 60 * 1000);

    /// A time to live of `millis` milliseconds; fails if that is zero or more than `max`.
    pub fn within(millis: u64, max: Self) -> Result<Self, InvalidTtl> {
        match millis {
            0 => Err(InvalidTtl::Zero),
            _ if millis > max.0 => Err(InvalidTtl::TooLong { max: max.0 }),
            _ => Ok(Self(millis)),
        }
    }

    /// The time to live in milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The time to live in microseconds.
    pub const fn micros(self) -> i64 {
        self.0.cast_signed() * 1000
    }

    /// The time to live as a duration of the standard library.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl TryFrom<u64> for Ttl {
    type Error = InvalidTtl;

    fn try_from(millis: u64) -> Result<Self, InvalidTtl> {
        Self::within(millis, Self::MAX)
    }
}

impl From<Ttl> for u64 {
    fn from(ttl: Ttl) -> Self {
        ttl.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_at_least_one_and_at_most_the_limit() {
        assert_eq!(Ttl::try_from(0), Err(InvalidTtl::Zero));
        assert!(Ttl::within(1, Ttl::DEFAULT_MAX).is_ok());
        assert!(Ttl::within(604_800_000, Ttl::DEFAULT_MAX).is_ok());
        let refusal = Ttl::within(604_800_001, Ttl::DEFAULT_MAX).unwrap_err();
        assert_eq!(refusal.to_string(), "ttl is above 604800000 ms, the longest that is allowed here");
    }

    #[test]
    fn the_longest_ttl_does_not_overflow() {
        assert!(Ttl::try_from(u64::MAX).is_err());
        assert!(Ttl::MAX.micros() > 0);
    }
}
