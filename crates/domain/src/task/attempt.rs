//! The number of an attempt at a task.

use serde::de::{Deserialize, Deserializer, Error};

/// The number of a grant of a task, used as a fencing token: each grant raises it, nothing lowers it, and reports of an
/// earlier grant are refused. 0: never granted.
pub type Attempt = u32;

/// Reads an attempt that a worker names. Fails if it is greater than any that the databases can store.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attempt, D::Error> {
    let attempt = Attempt::deserialize(deserializer)?;
    if i32::try_from(attempt).is_err() {
        return Err(D::Error::custom(format!("an attempt must be at most {}", i32::MAX)));
    }
    Ok(attempt)
}
