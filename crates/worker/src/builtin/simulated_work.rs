//! Simulates long work by waiting, as the operations of the original project do (`docs/original.md`).

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;

/// Waits for a random time in `range`, or exactly for its start if the range is empty.
pub(crate) async fn simulate_work(range: &RangeInclusive<Duration>) {
    let longest = *range.end().max(range.start());
    let work = rand::rng().random_range(*range.start()..=longest);
    tokio::time::sleep(work).await;
}
