//! When a grant ends: on two clocks of this machine, so that neither a stepped calendar nor a suspended machine moves it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Counts on while the machine is suspended; `Instant` does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;

/// However long a timer is set, both clocks are looked at this often.
const LOOK: Duration = Duration::from_secs(1);

/// No life is longer than a hundred years, so that no clock overflows.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// An instant on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SuspendAwareInstant {
    awake: Instant,
    booted: Duration,
}

impl SuspendAwareInstant {
    /// This instant.
    pub(crate) fn now() -> Self {
        let booted = Duration::try_from(clock_gettime(BOOT_CLOCK)).unwrap_or_default();
        Self { awake: Instant::now(), booted }
    }

    /// How long ago it was, by the clock that has gone further.
    pub(crate) fn elapsed(self) -> Duration {
        let now = Self::now();
        now.awake.saturating_duration_since(self.awake).max(now.booted.saturating_sub(self.booted))
    }

    fn plus(self, span: Duration) -> Self {
        Self { awake: self.awake + span, booted: self.booted + span }
    }
}

/// The end of a grant's life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(SuspendAwareInstant);

impl Deadline {
    /// The end of what was granted by an ask that was sent at `sent`, held for `held_ms` and had `remaining_ms` left.
    pub(crate) fn of(sent: SuspendAwareInstant, held_ms: u64, remaining_ms: u64) -> Self {
        let life = Duration::from_millis(held_ms.saturating_add(remaining_ms));
        Self(sent.plus(life.min(LONGEST)))
    }

    /// What is left at `now`, by the clock that has gone further.
    pub(crate) fn left(self, now: SuspendAwareInstant) -> Duration {
        let SuspendAwareInstant { awake, booted } = self.0;
        awake.saturating_duration_since(now.awake).min(booted.saturating_sub(now.booted))
    }

    /// How long ago it passed at `now`; zero before it.
    pub(crate) fn past(self, now: SuspendAwareInstant) -> Duration {
        let SuspendAwareInstant { awake, booted } = self.0;
        now.awake.saturating_duration_since(awake).max(now.booted.saturating_sub(booted))
    }

    /// Waits for it.
    pub(crate) async fn passed(self) {
        loop {
            let left = self.left(SuspendAwareInstant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> SuspendAwareInstant {
        SuspendAwareInstant { awake: Instant::now(), booted: 100 * SECOND }
    }

    #[test]
    fn it_is_counted_from_the_moment_of_the_ask() {
        let sent = start();
        let deadline = Deadline::of(sent, 20_000, 5_000);
        assert_eq!(deadline.left(sent), 25 * SECOND);
        assert_eq!(deadline.left(sent.plus(24 * SECOND)), SECOND);
        assert_eq!(deadline.left(sent.plus(26 * SECOND)), Duration::ZERO);
        assert_eq!(deadline.past(sent.plus(26 * SECOND)), SECOND);
    }

    #[test]
    fn a_suspended_machine_does_not_stretch_it() {
        let sent = start();
        let deadline = Deadline::of(sent, 0, 60_000);
        let resumed = SuspendAwareInstant { awake: sent.awake + SECOND, booted: sent.booted + 3600 * SECOND };
        assert_eq!(deadline.left(resumed), Duration::ZERO);
        assert_eq!(deadline.past(resumed), 3540 * SECOND);
    }

    #[test]
    fn the_longest_life_does_not_overflow() {
        let deadline = Deadline::of(SuspendAwareInstant::now(), u64::MAX, u64::MAX);
        assert!(deadline.left(SuspendAwareInstant::now()) > Duration::from_hours(24));
    }

    #[test]
    fn the_boot_clock_goes() {
        assert!(SuspendAwareInstant::now().booted > Duration::ZERO);
    }
}
