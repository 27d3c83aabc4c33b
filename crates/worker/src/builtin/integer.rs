//! Reads integers of parameters as JSON Schema does: a number without a fraction is an integer, however it is written (`1000.0`, `1e3`).

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// The integers up to this one are exact in a floating-point number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Deserializes an integer from any number without a fraction. Fails if `T` does not contain it.
pub(crate) fn read<'de, D: Deserializer<'de>, T: TryFrom<u64>>(deserializer: D) -> Result<T, D::Error> {
    let number = Number::deserialize(deserializer)?;
    let whole = number.as_u64().or_else(|| number.as_f64().and_then(exact));
    let fitting = whole.and_then(|whole| T::try_from(whole).ok());
    fitting.ok_or_else(|| {
        D::Error::invalid_value(
            Unexpected::Other(&number.to_string()),
            &"an integer in the range of the parameter",
        )
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is a non-negative integer below 2^53"
)]
fn exact(number: f64) -> Option<u64> {
    ((0.0..=MAX_EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}
