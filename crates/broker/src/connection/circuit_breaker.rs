//! A breaker for one topic: after failures in a row nothing is sent to it for a while, then one message tries.

use std::time::{Duration, Instant};

/// So many failures in a row open it.
const FAILURES: u32 = 5;

/// How long it stays open the first time; each failed try doubles it.
const SHORTEST: Duration = Duration::from_millis(500);

/// The longest that it stays open.
const LONGEST: Duration = Duration::from_secs(15);

/// Whether messages may go to a topic.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures: u32,
    pause: Duration,
    /// Open until then; the first message after that tries.
    open: Option<Instant>,
    /// That one is on its way.
    is_tried: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 0, pause: SHORTEST, open: None, is_tried: false }
    }
}

impl Breaker {
    /// Whether a message may go now. If it is the one that tries, no other may until it has failed or succeeded, or a
    /// pause has passed.
    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        match self.open {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                self.open = Some(now + self.pause);
                self.is_tried = true;
                true
            }
        }
    }

    /// Whether nothing may go. One that waits for a message to try is not known to be broken any more.
    pub(crate) fn is_shut(&self, now: Instant) -> bool {
        self.open.is_some_and(|until| now < until)
    }

    /// A message has arrived. True if that closes the breaker.
    pub(crate) fn succeeded(&mut self) -> bool {
        let was_open = self.open.is_some();
        *self = Self::default();
        was_open
    }

    /// A message was refused or timed out. True if that opens the breaker. Those that were on their way when it opened
    /// count no more.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        if self.open.is_some() {
            if std::mem::take(&mut self.is_tried) {
                self.pause = (self.pause * 2).min(LONGEST);
                self.open = Some(now + self.pause);
            }
            return false;
        }
        self.failures += 1;
        let opens = self.failures == FAILURES;
        if opens {
            self.open = Some(now + self.pause);
        }
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_one_success_closes_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert!(!breaker.failed(now) && breaker.allows(now));
        }
        assert!(breaker.failed(now), "it opens, and says so once");
        assert!(!breaker.failed(now) && !breaker.allows(now));
        let later = now + LONGEST;
        assert!(breaker.allows(later), "one tries");
        assert!(!breaker.allows(later), "and no other");
        assert!(breaker.succeeded() && breaker.allows(later));
        assert!(!breaker.succeeded(), "it was closed");
    }

    #[test]
    fn every_try_that_fails_doubles_the_pause() {
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.failed(now);
        }
        let mut pause = SHORTEST;
        for _ in 0..8 {
            assert!(!breaker.allows(now + pause / 2));
            now += pause;
            assert!(breaker.allows(now));
            for _ in 0..3 {
                assert!(!breaker.failed(now), "those that were on their way before change nothing");
            }
            pause = (pause * 2).min(LONGEST);
        }
    }
}
