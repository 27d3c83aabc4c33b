//! A circuit breaker for one topic: it opens after consecutive failures, and lets single messages probe the topic.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Consecutive failures that open the breaker.
const FAILURE_THRESHOLD: u32 = 5;

/// How long the breaker stays open the first time.
const MIN_OPEN: Duration = Duration::from_millis(500);

/// The longest time between two probes.
const MAX_OPEN: Duration = Duration::from_secs(15);

/// How long the breaker stays open before each probe. A failed probe doubles the time. There is no jitter: a probe is a single
/// message for each process, too little to overload the brokers.
const OPEN_DURATIONS: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(MIN_OPEN).with_max_delay(MAX_OPEN).without_max_times();

/// Whether messages may be sent to a topic. Closed: all. Open: none. Half-open: one, the probe.
#[derive(Debug)]
pub(crate) struct CircuitBreaker {
    failures: u32,
    pauses: ExponentialBackoff,
    /// The current pause.
    pause: Duration,
    /// Not closed: open until this instant, half-open after it.
    open_until: Option<Instant>,
    /// A probe was sent, and its delivery has not been reported.
    is_probing: bool,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        let mut pauses = OPEN_DURATIONS.build();
        let pause = pauses.next().unwrap_or(MIN_OPEN);
        Self { failures: 0, pauses, pause, open_until: None, is_probing: false }
    }
}

impl CircuitBreaker {
    /// Whether a message may be sent now. If it is the probe of a half-open breaker, no other message is allowed until the
    /// probe has failed or succeeded, or a pause has passed.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        match self.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + self.pause);
                self.is_probing = true;
                true
            }
        }
    }

    /// Whether the breaker is open. Half-open does not count as open.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    /// Records a delivered message. `true`: this closes the breaker.
    pub(crate) fn record_success(&mut self) -> bool {
        let was_open = self.open_until.is_some();
        *self = Self::default();
        was_open
    }

    /// Records a message that was rejected or timed out. `true`: this opens the breaker. While it is open only the probe
    /// counts, since all other messages were sent before it opened.
    pub(crate) fn record_failure(&mut self, now: Instant) -> bool {
        if self.open_until.is_some() {
            if std::mem::take(&mut self.is_probing) {
                self.pause = self.pauses.next().unwrap_or(MAX_OPEN);
                self.open_until = Some(now + self.pause);
            }
            return false;
        }
        self.failures += 1;
        let opens = self.failures == FAILURE_THRESHOLD;
        if opens {
            self.open_until = Some(now + self.pause);
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_failures_open_the_breaker_and_one_success_closes_it() {
        let now = Instant::now();
        let mut breaker = CircuitBreaker::default();
        for _ in 1..FAILURE_THRESHOLD {
            assert!(!breaker.record_failure(now) && breaker.allows(now));
        }
        assert!(
            breaker.record_failure(now),
            "the last failure opens the breaker, and only that one is reported"
        );
        assert!(!breaker.record_failure(now) && !breaker.allows(now));
        let later = now + MAX_OPEN;
        assert!(breaker.allows(later), "the half-open breaker allows a probe");
        assert!(!breaker.allows(later), "there is one probe at a time");
        assert!(breaker.record_success() && breaker.allows(later));
        assert!(!breaker.record_success(), "the breaker was closed already");
    }

    #[test]
    fn every_failed_probe_doubles_the_pause() {
        let mut now = Instant::now();
        let mut breaker = CircuitBreaker::default();
        for _ in 0..FAILURE_THRESHOLD {
            breaker.record_failure(now);
        }
        let mut pause = MIN_OPEN;
        for _ in 0..8 {
            assert!(!breaker.allows(now + pause / 2));
            now += pause;
            assert!(breaker.allows(now));
            for _ in 0..3 {
                assert!(
                    !breaker.record_failure(now),
                    "messages sent before the breaker opened change nothing"
                );
            }
            pause = (pause * 2).min(MAX_OPEN);
        }
    }
}
