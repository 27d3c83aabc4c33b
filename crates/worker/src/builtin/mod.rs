//! The operations that every Tasker has.

pub(crate) mod echo;
pub(crate) mod generate_login;
pub(crate) mod generate_number;
pub(crate) mod sleep;

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;

pub use crate::builtin::echo::Echo;
pub use crate::builtin::generate_login::GenerateLogin;
pub use crate::builtin::generate_number::GenerateNumber;
pub use crate::builtin::sleep::Sleep;

use crate::sdk::registry::Operations;

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
