//! jiff's date and time of a time zone, over which the cron library searches.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::{SignedDuration, ZonedDateTime};

/// A date and time in a time zone.
#[derive(Debug, Clone)]
pub(super) struct LocalTime(pub(super) ZonedDateTime);

impl CronDateTime for LocalTime {
    fn to_civil(&self) -> CivilDateTime {
        let local = self.0.datetime();
        let part = |part: i8| u32::from(part.unsigned_abs());
        CivilDateTime::new(
            CivilDate::from_parts_unchecked(local.year().into(), part(local.month()), part(local.day())),
            CivilTime::from_parts_unchecked(part(local.hour()), part(local.minute()), part(local.second())),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(self.0.weekday().to_sunday_zero_offset().unsigned_abs().into())
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let ambiguous = self.0.time_zone().to_ambiguous_zoned_datetime(datetime(civil)?);
        let invalid = |_| CronError::InvalidTime;
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Resolution::Single(Self(ambiguous.unambiguous().map_err(invalid)?))
            }
            AmbiguousOffset::Fold { .. } => {
                let earlier = ambiguous.clone().earlier().map_err(invalid)?;
                Resolution::Ambiguous(Self(earlier), Self(ambiguous.later().map_err(invalid)?))
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

/// The same date and time as jiff's. Fails outside of the years that jiff knows.
fn datetime(civil: CivilDateTime) -> Result<DateTime, CronError> {
    let invalid = CronError::InvalidDate;
    let Ok(year) = i16::try_from(civil.year()) else { return Err(invalid) };
    let parts = [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()];
    let [month, day, hour, minute, second] =
        parts.map(|part| i8::try_from(part).expect("the parts of a date are below 100"));
    DateTime::new(year, month, day, hour, minute, second, 0).map_err(|_| invalid)
}
