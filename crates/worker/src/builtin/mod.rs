//! The operations that are built into Tasker.

pub(crate) mod echo;
pub(crate) mod generate_login;
pub(crate) mod generate_number;
pub(crate) mod integer;
pub(crate) mod simulated_work;
pub(crate) mod sleep;

use std::ops::RangeInclusive;
use std::time::Duration;

pub use crate::builtin::echo::Echo;
pub use crate::builtin::generate_login::GenerateLogin;
pub use crate::builtin::generate_number::GenerateNumber;
pub use crate::builtin::sleep::Sleep;

use crate::registry::operations::Operations;

/// All built-in operations. `GENERATE_LOGIN` and `GENERATE_NUMBER` take a random time from the range `simulate_work`.
pub fn bundled(simulate_work: RangeInclusive<Duration>) -> Operations {
    Operations::new()
        .with(Echo)
        .with(GenerateLogin { simulate_work: simulate_work.clone() })
        .with(GenerateNumber { simulate_work })
        .with(Sleep)
}
