//! The sweep's clockwork: an alarm for every deadline that this process knows of, and a round now and then regardless.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use database::DatabaseError;
use store::EndedTask;
use telemetry::error_chain;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::metrics;

/// Deadlines are grouped by this, rounded up.
const GRAIN_MS: u64 = 5;

/// The most deadlines that are remembered; the latest are left to the rounds.
const MOST: usize = 1_000_000;

/// When the next deadlines pass. A ring only runs the ordinary sweep: nothing depends on its being right.
#[derive(Debug)]
pub(crate) struct DeadlineTimer {
    began: Instant,
    /// In grains since `began`.
    at: Mutex<BTreeSet<u64>>,
    earlier: Notify,
}

impl Default for DeadlineTimer {
    fn default() -> Self {
        Self { began: Instant::now(), at: Mutex::default(), earlier: Notify::new() }
    }
}

impl DeadlineTimer {
    /// Grants have been given that have so many milliseconds left.
    pub(crate) fn set(&self, remaining: impl Iterator<Item = u64>) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut at = self.at.lock().expect("no panic while it is held");
        let first = at.first().copied();
        // Both ends were rounded down to a millisecond.
        at.extend(remaining.map(|left| now.saturating_add(left).saturating_add(2).div_ceil(GRAIN_MS)));
        while at.len() > MOST {
            at.pop_last();
        }
        if at.first().copied() != first {
            self.earlier.notify_one();
        }
    }

    /// Returns when at least one deadline has passed; forgets those that have.
    async fn rings(&self) {
        loop {
            let next = self.at.lock().expect("no panic while it is held").first().copied();
            let instant =
                next.and_then(|grains| self.began.checked_add(Duration::from_millis(grains * GRAIN_MS)));
            tokio::select! {
                () = self.earlier.notified() => {}
                () = sleep_until(instant.unwrap_or_else(Instant::now)), if instant.is_some() => {
                    let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX) / GRAIN_MS;
                    let mut at = self.at.lock().expect("no panic while it is held");
                    *at = at.split_off(&(now + 1));
                    return;
                }
            }
        }
    }
}

/// Ends what is overdue until `stop`: at every ring, and each `check_period`.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let mut check = interval(app.settings.check_period);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ear = PeerChannel::default();
    let mut away = false;
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            () = app.bells.alarm.rings() => sweep(&app).await,
            _ = check.tick() => check_all(&app, &mut ear).await,
        };
        match &done {
            Ok(()) if away => tracing::info!("the sweep works again"),
            Err(error) if !away => {
                tracing::error!(error = %error_chain(error), "the sweep failed; it goes on trying");
            }
            Ok(()) | Err(_) => {}
        }
        away = done.is_err();
        if away {
            ear = PeerChannel::default();
        }
    }
}

/// Since when workers could be heard. A silence that is ours (an outage, a restart, a frozen process) is not theirs.
#[derive(Debug, Default)]
struct PeerChannel {
    open: Option<Instant>,
    last: Option<Instant>,
}

impl PeerChannel {
    /// They can be heard now; for how long, without a gap longer than `gap`?
    fn listens(&mut self, now: Instant, gap: Duration) -> Duration {
        if self.last.is_none_or(|last| now - last > gap) {
            self.open = None;
        }
        self.last = Some(now);
        now - *self.open.get_or_insert(now)
    }
}

async fn sweep(app: &App) -> Result<(), DatabaseError> {
    loop {
        let ended = app.store.expire().await?;
        tell(app, &ended);
        if ended.len() < store::EXPIRE_BATCH_SIZE {
            return Ok(());
        }
    }
}

async fn check_all(app: &App, ear: &mut PeerChannel) -> Result<(), DatabaseError> {
    sweep(app).await?;
    let silence = app.settings.worker_lost;
    if ear.listens(Instant::now(), (silence / 2).max(app.settings.check_period * 2)) >= silence {
        let lost = app.store.end_tasks_of_silent_workers(silence).await?;
        if !lost.is_empty() {
            tracing::warn!(tasks = lost.len(), "a worker fell silent; its tasks are cancelled");
        }
        tell(app, &lost);
    }
    Ok(())
}

/// Tells those who wait that these have ended.
pub(crate) fn tell(app: &App, ended: &[EndedTask]) {
    app.bells.ended(&ended.iter().map(|ended| ended.id).collect::<Vec<_>>());
    for ended in ended {
        metrics::verdict(ended);
        let reason = ended.reason.map_or("-", domain::Reason::as_str);
        tracing::debug!(task.id = %ended.id, task.attempt = ended.attempt, reason, late_us = ended.late_us, "cancelled a task");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_counts_only_while_somebody_listens() {
        let start = Instant::now();
        let mut ear = PeerChannel::default();
        assert_eq!(ear.listens(start, 2 * SECOND), Duration::ZERO);
        assert_eq!(ear.listens(start + SECOND, 2 * SECOND), SECOND);
        assert_eq!(ear.listens(start + 3 * SECOND, 2 * SECOND), 3 * SECOND);
        assert_eq!(ear.listens(start + 60 * SECOND, 2 * SECOND), Duration::ZERO, "the process was frozen");
        assert_eq!(ear.listens(start + 61 * SECOND, 2 * SECOND), SECOND);
    }

    #[tokio::test]
    async fn an_alarm_rings_for_the_nearest_deadline_and_forgets_it() {
        let alarm = DeadlineTimer::default();
        alarm.set([3_600_000, 1].into_iter());
        alarm.rings().await;
        assert_eq!(alarm.at.lock().unwrap().len(), 1);
    }
}
