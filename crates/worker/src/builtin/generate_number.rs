//! `GENERATE_NUMBER`: generates a random number with a given number of digits.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::builtin::integer;
use crate::builtin::simulated_work::simulate_work;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// The operation `GENERATE_NUMBER`: a random number, each with the same probability, from a cryptographically secure
/// generator.
pub struct GenerateNumber {
    /// How long each run takes, as simulated work; zero to zero for none.
    pub simulate_work: RangeInclusive<Duration>,
}

/// Generates a random number with a given count of digits, after a time of simulated work.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Params {
    /// How many digits; the first is not 0. Many JSON readers (JavaScript's) round numbers of more than 15 digits.
    #[schemars(range(min = 1, max = 18))]
    #[serde(deserialize_with = "integer::read")]
    length: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { length: 8 }
    }
}

impl Operation for GenerateNumber {
    const TYPE: &'static str = "GENERATE_NUMBER";
    const DESCRIPTION: &'static str = "Generates a random number with a given count of digits";
    type Params = Params;
    type Output = u64;

    async fn run(&self, params: Params, _context: Context) -> Result<u64, Failure> {
        simulate_work(&self.simulate_work).await;
        Ok(rand::rng().random_range(numbers_of_length(params.length)))
    }
}

/// All numbers of `length` digits, 1 to 18.
fn numbers_of_length(length: u32) -> RangeInclusive<u64> {
    let smallest = 10_u64.pow(length - 1);
    smallest..=10 * smallest - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_digit_is_never_zero() {
        assert_eq!(numbers_of_length(1), 1..=9);
        assert_eq!(numbers_of_length(8), 10_000_000..=99_999_999);
        assert_eq!(numbers_of_length(18), 100_000_000_000_000_000..=999_999_999_999_999_999);
    }
}
