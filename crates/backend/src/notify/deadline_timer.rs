//! A timer for the deadlines of the tasks that this Backend has granted.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Deadlines are rounded up to a multiple of this, in milliseconds, so that many tasks share a timer.
const RESOLUTION_MS: u64 = 5;

/// The most deadlines in memory. Beyond it the latest are dropped, and the periodic check finds those tasks.
const MAX_DEADLINES: usize = 1_000_000;

/// Fires when a deadline passes. It only triggers the ordinary sweep, so a deadline too many or too few does no harm.
#[derive(Debug)]
pub(crate) struct DeadlineTimer {
    began: Instant,
    /// Deadlines, in units of [`RESOLUTION_MS`] since `began`.
    deadlines: Mutex<BTreeSet<u64>>,
    earliest_changed: Notify,
}

impl Default for DeadlineTimer {
    fn default() -> Self {
        Self { began: Instant::now(), deadlines: Mutex::default(), earliest_changed: Notify::new() }
    }
}

impl DeadlineTimer {
    /// Adds deadlines that are so many milliseconds away.
    pub(crate) fn schedule(&self, remaining_ms: impl Iterator<Item = u64>) {
        let now = self.elapsed_ms();
        let mut deadlines = self.deadlines.lock();
        let earliest = deadlines.first().copied();
        // `now` and the remaining time were both rounded down to a millisecond, so 2 ms are added.
        deadlines.extend(
            remaining_ms.map(|left| now.saturating_add(left).saturating_add(2).div_ceil(RESOLUTION_MS)),
        );
        while deadlines.len() > MAX_DEADLINES {
            deadlines.pop_last();
        }
        if deadlines.first().copied() != earliest {
            self.earliest_changed.notify_one();
        }
    }

    /// Returns when at least one deadline has passed, and removes those that have.
    pub(crate) async fn wait_and_remove_passed(&self) {
        loop {
            let earliest = self.deadlines.lock().first().copied();
            let at = earliest
                .and_then(|units| self.began.checked_add(Duration::from_millis(units * RESOLUTION_MS)));
            tokio::select! {
                () = self.earliest_changed.notified() => {}
                () = sleep_until(at.unwrap_or_else(Instant::now)), if at.is_some() => {
                    let now = self.elapsed_ms() / RESOLUTION_MS;
                    let mut deadlines = self.deadlines.lock();
                    *deadlines = deadlines.split_off(&(now + 1));
                    return;
                }
            }
        }
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_fires_for_the_nearest_deadline_and_removes_it() {
        let timer = DeadlineTimer::default();
        timer.schedule([3_600_000, 1].into_iter());
        timer.wait_and_remove_passed().await;
        assert_eq!(timer.deadlines.lock().len(), 1);
    }
}
