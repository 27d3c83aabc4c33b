//! The deadline of a granted task on this machine's monotonic and boottime clocks, so that neither a change of the system time
//! nor a suspend of the machine delays it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The clock that goes on while the machine is suspended; `Instant` does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOTTIME_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOTTIME_CLOCK: ClockId = ClockId::Monotonic;

/// Timers stand still while the machine is suspended, so a long wait is cut into pieces of this length and both clocks are
/// read after each.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Remaining times are capped at a hundred years, so that no clock overflows.
const MAX_REMAINING: Duration = Duration::from_hours(100 * 365 * 24);

/// An instant on the monotonic clock and on the boottime clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SuspendAwareInstant {
    monotonic: Instant,
    boottime: Duration,
}

impl SuspendAwareInstant {
    /// The current instant.
    pub(crate) fn now() -> Self {
        let boottime = Duration::try_from(clock_gettime(BOOTTIME_CLOCK)).unwrap_or_default();
        Self { monotonic: Instant::now(), boottime }
    }

    /// The time since this instant, by the clock that has advanced further.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// The time from `earlier` to this instant, by the clock that has advanced further; zero if `earlier` is later.
    fn since(self, earlier: Self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(earlier.monotonic);
        monotonic.max(self.boottime.saturating_sub(earlier.boottime))
    }

    fn plus(self, span: Duration) -> Self {
        Self { monotonic: self.monotonic + span, boottime: self.boottime + span }
    }
}

/// The instant at which a granted task must have ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(SuspendAwareInstant);

impl Deadline {
    /// The deadline of a task whose claim request was sent at `sent`. The Backend held that request for `held_ms`
    /// milliseconds, and the task had `remaining_ms` milliseconds left then. Counting from `sent` makes the deadline earlier
    /// than the database's by the time that the response took, never later.
    pub(crate) fn of(sent: SuspendAwareInstant, held_ms: u64, remaining_ms: u64) -> Self {
        let remaining = Duration::from_millis(held_ms.saturating_add(remaining_ms));
        Self(sent.plus(remaining.min(MAX_REMAINING)))
    }

    /// The time left at `now`, by the clock that has advanced further; zero after the deadline.
    pub(crate) fn remaining(self, now: SuspendAwareInstant) -> Duration {
        let SuspendAwareInstant { monotonic, boottime } = self.0;
        let remaining = monotonic.saturating_duration_since(now.monotonic);
        remaining.min(boottime.saturating_sub(now.boottime))
    }

    /// The time since the deadline at `now`; zero before it.
    pub(crate) fn overdue(self, now: SuspendAwareInstant) -> Duration {
        now.since(self.0)
    }

    /// Waits until the deadline has passed.
    pub(crate) async fn passed(self) {
        loop {
            let remaining = self.remaining(SuspendAwareInstant::now());
            if remaining.is_zero() {
                return;
            }
            tokio::time::sleep(remaining.min(CLOCK_CHECK_INTERVAL)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> SuspendAwareInstant {
        SuspendAwareInstant { monotonic: Instant::now(), boottime: 100 * SECOND }
    }

    #[test]
    fn a_deadline_is_counted_from_the_sending_of_the_claim_request() {
        let sent = start();
        let deadline = Deadline::of(sent, 20_000, 5_000);
        assert_eq!(deadline.remaining(sent), 25 * SECOND);
        assert_eq!(deadline.remaining(sent.plus(24 * SECOND)), SECOND);
        assert_eq!(deadline.remaining(sent.plus(26 * SECOND)), Duration::ZERO);
        assert_eq!(deadline.overdue(sent.plus(26 * SECOND)), SECOND);
    }

    #[test]
    fn a_suspended_machine_does_not_postpone_a_deadline() {
        let sent = start();
        let deadline = Deadline::of(sent, 0, 60_000);
        let resumed = SuspendAwareInstant {
            monotonic: sent.monotonic + SECOND,
            boottime: sent.boottime + 3600 * SECOND,
        };
        assert_eq!(deadline.remaining(resumed), Duration::ZERO);
        assert_eq!(deadline.overdue(resumed), 3540 * SECOND);
    }

    #[test]
    fn the_longest_remaining_time_does_not_overflow() {
        let deadline = Deadline::of(SuspendAwareInstant::now(), u64::MAX, u64::MAX);
        assert!(deadline.remaining(SuspendAwareInstant::now()) > Duration::from_hours(24));
    }

    /// The boottime clock is the monotonic clock plus the time spent suspended.
    #[test]
    fn the_boottime_clock_is_read_and_is_not_behind_the_monotonic_clock() {
        let monotonic = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
        let (first, second) = (SuspendAwareInstant::now(), SuspendAwareInstant::now());
        assert!(monotonic > Duration::ZERO && first.boottime >= monotonic);
        assert!(second.boottime >= first.boottime);
        assert!(second.since(first) < first.since(SuspendAwareInstant { boottime: Duration::ZERO, ..first }));
    }

    #[tokio::test]
    async fn waiting_for_a_deadline_ends_when_either_clock_has_passed_it() {
        let now = SuspendAwareInstant::now();
        let by_boottime = SuspendAwareInstant { monotonic: now.monotonic + 3600 * SECOND, ..now };
        let by_monotonic = SuspendAwareInstant { boottime: now.boottime + 3600 * SECOND, ..now };
        for instant in [by_boottime, by_monotonic] {
            tokio::time::timeout(SECOND, Deadline(instant).passed()).await.expect("the deadline has passed");
        }
    }
}
