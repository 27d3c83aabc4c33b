//! The operations that every Tasker has.

mod echo;
mod generate_login;
mod generate_number;
mod sleep;

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;

pub use echo::Echo;
pub use generate_login::GenerateLogin;
pub use generate_number::GenerateNumber;
pub use sleep::Sleep;

use crate::catalogue::Operations;

/// All of them; those that simulate long work take a time at random from `simulate_work`.
pub fn bundled(simulate_work: RangeInclusive<Duration>) -> Operations {
    Operations::new()
        .with(Echo)
        .with(GenerateLogin { simulate_work: simulate_work.clone() })
        .with(GenerateNumber { simulate_work })
        .with(Sleep)
}

/// Takes a time at random from `range`; the longer end of one that is upside down.
async fn simulated(range: &RangeInclusive<Duration>) {
    let longest = *range.end().max(range.start());
    let work = rand::rng().random_range(*range.start()..=longest);
    tokio::time::sleep(work).await;
}
