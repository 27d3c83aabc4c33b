//! How long to wait before the next try: longer each time, never in step with others.

use std::time::Duration;

use rand::RngExt;

use crate::error::ClientError;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Whatever a server asks for, it is tried again after this.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pauses between tries that failed.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next pause: between half of the ceiling and all of it.
    pub fn pause(&mut self) -> Duration {
        let ceiling = ceiling(self.failures);
        self.failures = self.failures.saturating_add(1);
        rand::rng().random_range(ceiling / 2..=ceiling)
    }

    /// The next pause, or as long as the server asks for if that is longer.
    pub fn after(&mut self, error: &ClientError) -> Duration {
        self.pause().max(error.retry_after().unwrap_or_default().min(PATIENCE))
    }
}

fn ceiling(failures: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        let ceilings: Vec<_> = [0, 1, 2, 5, 6, 1000].map(|failures| ceiling(failures).as_millis()).into();
        assert_eq!(ceilings, [100, 200, 400, 3200, 5000, 5000]);
    }

    #[test]
    fn a_pause_is_jittered_and_a_success_ends_it() {
        let mut backoff = Backoff::default();
        assert!((50..=100).contains(&backoff.pause().as_millis()));
        assert!((100..=200).contains(&backoff.pause().as_millis()));
        backoff.reset();
        assert!((50..=100).contains(&backoff.pause().as_millis()));
    }
}
