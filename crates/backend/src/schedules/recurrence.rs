//! The times of a schedule: of a cron expression in its time zone, or one in each period.

use croner::Cron;
use croner::parser::{CronParser, Year};
use domain::limits::{MAX_DELAY_OR_START_WITHIN_MS, MIN_SCHEDULE_PERIOD_MS};
use domain::{Fault, Timestamp, Timing};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::schedules::local_time::LocalTime;

/// The longest cron expression, in bytes.
const MAX_EXPRESSION_BYTES: usize = 200;

/// The first span before an instant in which its last times are looked for, in microseconds, and by how much a span that has too
/// few is lengthened.
const FIRST_SPAN_US: i64 = 60_000_000;
const SPAN_FACTOR: i64 = 8;

/// The times at which a schedule runs.
///
/// On the days on which clocks change, an expression that names hours has each of its times once: one that the change skips
/// is right after the change, and one that there is twice is the first of the two. An expression for every hour goes by the time
/// that passes: it has no time in the hour that is skipped, and all of its minutes in both of the hours that there are twice.
#[derive(Debug)]
pub(crate) enum Recurrence {
    /// The times that a cron expression matches.
    Cron {
        /// The expression.
        cron: Box<Cron>,
        /// The time zone in which it is read.
        zone: TimeZone,
        /// Whether it names hours: not every hour matches.
        names_hours: bool,
    },
    /// One in each period.
    Every {
        /// Any of the times.
        anchor: Timestamp,
        /// The period in microseconds.
        period_us: i64,
    },
}

impl Recurrence {
    /// The times of `timing`; periods are counted from `anchor`. Fails if a rule is broken, with the field and the rule.
    pub(crate) fn new(timing: &Timing, anchor: Timestamp) -> Result<Self, Fault> {
        match timing {
            Timing::Cron { expression, time_zone } => {
                let zone = find_zone(time_zone)?;
                let cron = Box::new(parse_cron(expression)?);
                let names_hours = cron.pattern.hours.values().len() < 24;
                Ok(Self::Cron { cron, zone, names_hours })
            }
            Timing::Every { period_ms } => {
                if !(MIN_SCHEDULE_PERIOD_MS..=MAX_DELAY_OR_START_WITHIN_MS).contains(period_ms) {
                    return Err(invalid_period());
                }
                Ok(Self::Every { anchor, period_us: period_ms.cast_signed() * 1000 })
            }
        }
    }

    /// The first time after `after`; `None`: there is none.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { anchor, period_us } => {
                let periods = after.micros_since(*anchor).div_euclid(*period_us) + 1;
                Some(anchor.plus_micros(periods.saturating_mul(*period_us)))
            }
            Self::Cron { cron, zone, names_hours } => {
                let after = jiff::Timestamp::from_microsecond(after.0).ok()?;
                let next = if *names_hours {
                    next_of_local_times(cron, zone, after)
                } else {
                    let local = LocalTime(after.to_zoned_datetime(zone.clone()));
                    cron.find_next_occurrence(&local, false).ok().map(|next| next.0.timestamp())
                };
                // A search begins in the second of `after`, so it never ends there.
                next.map(|next| Timestamp(next.as_second().saturating_mul(1_000_000)))
            }
        }
    }

    /// The first `count` times from `first` on, which is one of the times.
    pub(crate) fn times_from(&self, first: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(Some(first), |time| self.next_after(*time)).take(count).collect()
    }

    /// The last `max` times from `first`, which is one of them, to `until`.
    pub(crate) fn last_times(&self, first: Timestamp, until: Timestamp, max: usize) -> Vec<Timestamp> {
        let mut span = FIRST_SPAN_US;
        loop {
            let begin = until.plus_micros(-span);
            let start = if begin <= first { Some(first) } else { self.next_after(begin) };
            let times = std::iter::successors(start, |time| self.next_after(*time));
            let mut times: Vec<Timestamp> = times.take_while(|time| *time <= until).collect();
            if times.len() >= max || begin <= first {
                times.drain(..times.len().saturating_sub(max));
                return times;
            }
            span = span.saturating_mul(SPAN_FACTOR);
        }
    }
}

/// The next time of an expression that names hours: the search goes over local dates and times as if no clock changed, and each that
/// is found has one instant.
fn next_of_local_times(cron: &Cron, zone: &TimeZone, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let unchanging = |local: DateTime| local.to_zoned_datetime(TimeZone::UTC).ok().map(LocalTime);
    let mut local = unchanging(after.to_zoned_datetime(zone.clone()).datetime())?;
    loop {
        // In the second of two equal hours the times to come have been in the first one.
        local = cron.find_next_occurrence(&local, false).ok()?;
        let instant = only_instant(zone, local.0.datetime())?;
        if instant > after {
            return Some(instant);
        }
    }
}

/// The instant of a local date and time: of two the first, and the end of the gap for one that is skipped.
fn only_instant(zone: &TimeZone, local: DateTime) -> Option<jiff::Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Gap { before, .. } => {
            let in_gap = before.to_timestamp(local).ok()?;
            let later = in_gap.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
            zone.preceding(later).next().map(|change| change.timestamp())
        }
        _ => ambiguous.earlier().ok(),
    }
}

fn find_zone(name: &str) -> Result<TimeZone, Fault> {
    let unknown = || Fault {
        pointer: "/timeZone".to_owned(),
        detail: format!("{name:?} is no time zone of the IANA database, like Europe/Berlin or UTC"),
    };
    let zone = TimeZone::get(name).map_err(|_| unknown())?;
    if zone.iana_name().is_some() { Ok(zone) } else { Err(unknown()) }
}

fn parse_cron(expression: &str) -> Result<Cron, Fault> {
    let invalid = |cause: &str| Fault {
        pointer: "/cron".to_owned(),
        detail: format!(
            "cron has 5 fields (minute, hour, day of the month, month, day of the week), 6 with the second before them, or \
             is a nickname like @daily: {cause}"
        ),
    };
    if expression.len() > MAX_EXPRESSION_BYTES {
        return Err(invalid(&format!("it has at most {MAX_EXPRESSION_BYTES} bytes")));
    }
    let is_nickname = expression.trim().starts_with('@');
    if !is_nickname && !(5..=6).contains(&expression.split_whitespace().count()) {
        return Err(invalid("this has another number of fields"));
    }
    let parser = CronParser::builder().year(Year::Optional).build();
    parser.parse(expression).map_err(|error| invalid(error.to_string().trim_end_matches('.')))
}

/// The rule of a period.
pub(crate) fn invalid_period() -> Fault {
    Fault {
        pointer: "/everyMs".to_owned(),
        detail: format!(
            "everyMs is a whole number of milliseconds, {MIN_SCHEDULE_PERIOD_MS} to {MAX_DELAY_OR_START_WITHIN_MS}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times from `from` on, as local times with their offsets.
    fn times(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let timing = Timing::Cron { expression: cron.to_owned(), time_zone: zone.to_owned() };
        let recurrence = Recurrence::new(&timing, Timestamp(0)).unwrap();
        let from: Timestamp = from.parse().unwrap();
        let first = recurrence.next_after(from.plus_micros(-1)).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let local = |time: Timestamp| {
            let zoned = jiff::Timestamp::from_microsecond(time.0).unwrap().to_zoned_datetime(zone.clone());
            zoned.to_string().split('[').next().unwrap()[8..].replace(":00+", "+").replace(":00-", "-")
        };
        recurrence.times_from(first, count).into_iter().map(local).collect()
    }

    #[test]
    fn a_time_that_does_not_exist_is_once_right_after_the_gap() {
        let spring = "2026-03-28T12:00:00Z";
        let expected = ["29T03:00+02:00", "30T02:30+02:00", "31T02:30+02:00"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", spring, 3), expected);
        let expected = ["29T01:45+01:00", "29T03:00+02:00", "30T01:00+02:00"];
        assert_eq!(times("*/15 1-2 * * *", "Europe/Berlin", "2026-03-29T00:45:00Z", 3), expected);
        let expected = ["08T03:00-04:00", "08T14:30-04:00", "09T02:30-04:00"];
        assert_eq!(times("30 2,14 * * *", "America/New_York", "2026-03-08T05:00:00Z", 3), expected);
        // A time that is the end of the gap is not there twice.
        let expected = ["08T03:00-04:00", "09T02:00-04:00", "09T03:00-04:00"];
        assert_eq!(times("0 2,3 * * *", "America/New_York", "2026-03-08T05:00:00Z", 3), expected);
    }

    #[test]
    fn a_time_that_exists_twice_is_the_first_of_the_two() {
        let expected = ["25T02:30+02:00", "26T02:30+01:00"];
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2), expected);
        // The second of the two hours has begun.
        assert_eq!(times("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["26T02:30+01:00"]);
        let expected = ["01T01:00-04:00", "01T01:30-04:00", "01T02:00-05:00"];
        assert_eq!(times("*/30 1,2 * * *", "America/New_York", "2026-11-01T04:00:00Z", 3), expected);
    }

    #[test]
    fn every_hour_goes_by_the_time_that_passes() {
        let expected = ["29T01:30+01:00", "29T03:30+02:00", "29T04:30+02:00"];
        assert_eq!(times("30 * * * *", "Europe/Berlin", "2026-03-29T00:10:00Z", 3), expected);
        let expected = ["25T02:30+02:00", "25T02:30+01:00", "25T03:30+01:00"];
        assert_eq!(times("30 * * * *", "Europe/Berlin", "2026-10-25T00:10:00Z", 3), expected);
        let expected = ["01T01:00-04:00", "01T01:00-05:00", "01T02:00-05:00"];
        assert_eq!(times("@hourly", "America/New_York", "2026-11-01T05:00:00Z", 3), expected);
    }

    #[test]
    fn seconds_weekdays_and_nicknames_are_understood() {
        let from = "2026-12-31T23:59:30Z";
        assert_eq!(times("*/20 * * * * *", "UTC", from, 2), ["31T23:59:40+00:00", "01T00:00+00:00"]);
        assert_eq!(times("0 9 * * MON-FRI", "UTC", from, 2), ["01T09:00+00:00", "04T09:00+00:00"]);
        assert_eq!(times("@daily", "UTC", from, 1), ["01T00:00+00:00"]);
    }

    #[test]
    fn periods_are_counted_from_the_anchor() {
        let every = Recurrence::new(&Timing::Every { period_ms: 1500 }, Timestamp(7)).unwrap();
        assert_eq!(every.next_after(Timestamp(7)), Some(Timestamp(1_500_007)));
        assert_eq!(every.next_after(Timestamp(1_500_006)), Some(Timestamp(1_500_007)));
        assert_eq!(every.next_after(Timestamp(1_500_007)), Some(Timestamp(3_000_007)));
    }

    #[test]
    fn the_last_times_are_found_however_many_there_were() {
        let second = 1_000_000;
        let every = Recurrence::new(&Timing::Every { period_ms: 1000 }, Timestamp(0)).unwrap();
        let last = |first: i64, until: i64, max| {
            let times = every.last_times(Timestamp(first * second), Timestamp(until * second), max);
            times.into_iter().map(|time| time.0 / second).collect::<Vec<_>>()
        };
        assert_eq!(last(1, 1_000_000_000, 1), [1_000_000_000]);
        assert_eq!(last(1, 1_000_000_000, 3), [999_999_998, 999_999_999, 1_000_000_000]);
        assert_eq!(last(5, 7, 100), [5, 6, 7]);
        assert_eq!(last(5, 5, 1), [5]);
    }

    #[test]
    fn broken_rules_are_reported_with_their_field() {
        let fault = |timing: Timing| Recurrence::new(&timing, Timestamp(0)).unwrap_err();
        let cron = |expression: &str, zone: &str| Timing::Cron {
            expression: expression.to_owned(),
            time_zone: zone.to_owned(),
        };
        for expression in
            ["", "* * * *", "* * * * * * *", "61 * * * *", "x * * * *", "@never", "0 0 1--100000000 * *"]
        {
            assert_eq!(fault(cron(expression, "UTC")).pointer, "/cron", "{expression}");
        }
        assert_eq!(fault(cron(&"1,".repeat(200), "UTC")).pointer, "/cron");
        for zone in ["", "Mars/Phobos", "../etc/passwd", "Etc/Unknown"] {
            assert_eq!(fault(cron("* * * * *", zone)).pointer, "/timeZone", "{zone}");
        }
        assert_eq!(fault(Timing::Every { period_ms: 999 }).pointer, "/everyMs");
    }

    #[test]
    fn an_expression_that_never_matches_has_no_time() {
        let never = Timing::Cron { expression: "0 0 30 2 *".to_owned(), time_zone: "UTC".to_owned() };
        assert_eq!(Recurrence::new(&never, Timestamp(0)).unwrap().next_after(Timestamp(0)), None);
    }
}
