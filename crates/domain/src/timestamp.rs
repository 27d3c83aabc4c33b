//! Instants: microseconds in memory and in the database, RFC 3339 with milliseconds in JSON.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

/// An instant, in microseconds since 1970-01-01T00:00:00Z; in JSON a date and time of RFC 3339 in UTC, with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-11-24T09:30:00.125Z"))]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Parses a date of an HTTP header, like `Tue, 24 Nov 2026 09:30:00 GMT` (RFC 9110, 5.6.7); `None`: it is not one.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Self(date.as_microsecond()))
    }

    /// This instant plus `micros` microseconds; the last or first representable instant where that would overflow.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The microseconds from `earlier` to this instant; negative if `earlier` is later.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant:.3}"),
            Err(_) => f.write_str("out of the calendar"),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The text is no date and time of RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no date and time of RFC 3339, like 2026-11-24T09:30:00Z")]
pub struct InvalidTimestamp(String);

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp(text.to_owned()))?;
        Ok(Self(instant.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_milliseconds() {
        let date = Timestamp(1_795_512_600_125_999);
        assert_eq!(date.to_string(), "2026-11-24T09:30:00.125Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn an_http_date_is_parsed() {
        let read = Timestamp::from_http_date;
        assert_eq!(read("Tue, 24 Nov 2026 09:30:00 GMT"), Some(Timestamp(1_795_512_600_000_000)));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn addition_saturates() {
        assert_eq!(Timestamp(i64::MAX).plus_micros(1), Timestamp(i64::MAX));
    }
}
