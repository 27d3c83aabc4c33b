//! Exponential backoff between attempts of a request, which also respects the server's `Retry-After`.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::error::ClientError;

/// The base doubles each time; a pause is random between the base and twice the base, so that clients do not retry in step.
const PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(MAX_UNJITTERED_PAUSE)
    .without_max_times()
    .with_jitter();

/// Half of the longest pause: jitter adds up to as much again.
const MAX_UNJITTERED_PAUSE: Duration = Duration::from_millis(2500);

/// The longest `Retry-After` that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// The pauses between failed attempts: 50 to 100 ms at first, doubling up to 2.5 to 5 s.
#[derive(Debug)]
pub struct Backoff {
    pauses: ExponentialBackoff,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pauses: PAUSES.build() }
    }
}

impl Backoff {
    /// Starts again with the shortest pause; to be called after a success.
    pub fn reset(&mut self) {
        self.pauses = PAUSES.build();
    }

    /// The pause before the next attempt.
    pub fn next_pause(&mut self) -> Duration {
        self.pauses.next().unwrap_or(2 * MAX_UNJITTERED_PAUSE)
    }

    /// The pause after `error`: the next one, or the server's `Retry-After` (RFC 9110, 10.2.3) if that is longer, but at most
    /// 30 seconds.
    pub fn pause_after(&mut self, error: &ClientError) -> Duration {
        self.next_pause().max(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use domain::Problem;
    use domain::problem_types::requests::BUSY;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_are_jittered() {
        let mut backoff = Backoff::default();
        let ceilings = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000];
        for ceiling in ceilings {
            let pause = backoff.next_pause().as_millis();
            assert!((ceiling / 2..=ceiling).contains(&pause), "{pause} ms, at most {ceiling}");
        }
        assert!((0..1000).all(|_| (2500..=5000).contains(&backoff.next_pause().as_millis())));
    }

    #[test]
    fn a_success_starts_again_with_the_shortest_pause() {
        let mut backoff = Backoff::default();
        assert!((50..=100).contains(&backoff.next_pause().as_millis()));
        assert!((100..=200).contains(&backoff.next_pause().as_millis()));
        backoff.reset();
        assert!((50..=100).contains(&backoff.next_pause().as_millis()));
    }

    #[test]
    fn retry_after_lengthens_a_pause_up_to_a_limit() {
        let busy = |seconds| ClientError::Refused {
            problem: Box::new(Problem::new(&BUSY, "because")),
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(Backoff::default().pause_after(&busy(7)), Duration::from_secs(7));
        assert_eq!(Backoff::default().pause_after(&busy(3600)), MAX_RETRY_AFTER);
        assert!((50..=100).contains(&Backoff::default().pause_after(&busy(0)).as_millis()));
    }
}
