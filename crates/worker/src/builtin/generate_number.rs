//! `GENERATE_NUMBER`: a number of so many digits.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::builtin::simulated;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// Makes a random number, each as likely as any other, from a generator fit for secrets.
pub struct GenerateNumber {
    /// The original simulates long work; this is how long.
    pub simulate_work: RangeInclusive<Duration>,
}

/// How long the number is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Params {
    /// How many digits; the first is not 0. Above 15 many JSON readers (JavaScript's) round the number.
    #[schemars(range(min = 1, max = 18))]
    length: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { length: 8 }
    }
}

impl Operation for GenerateNumber {
    const TYPE: &'static str = "GENERATE_NUMBER";
    type Params = Params;
    type Output = u64;

    async fn run(&self, params: Params, _context: Context) -> Result<u64, Failure> {
        simulated(&self.simulate_work).await;
        let numbers = numbers(params.length);
        Ok(rand::rng().random_range(numbers))
    }
}

/// All numbers of `length` digits, 1 to 18.
fn numbers(length: u32) -> RangeInclusive<u64> {
    let least = 10_u64.pow(length - 1);
    least..=10 * least - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_digit_is_not_zero() {
        assert_eq!(numbers(1), 1..=9);
        assert_eq!(numbers(8), 10_000_000..=99_999_999);
        assert_eq!(numbers(18), 100_000_000_000_000_000..=999_999_999_999_999_999);
    }
}
