//! `SLEEP`: a task of a known duration, to try out deadlines and cancellations.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::builtin::integer;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// The operation `SLEEP`: waits for the given time and returns it, in milliseconds.
pub struct Sleep;

/// Sleeps, to try out the TTL and cancellation.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Params {
    /// How long to sleep, in milliseconds.
    #[serde(deserialize_with = "integer::read")]
    ms: u64,
}

impl Operation for Sleep {
    const TYPE: &'static str = "SLEEP";
    const DESCRIPTION: &'static str = "Waits for a time, to try out deadlines and cancellations";
    type Params = Params;
    type Output = u64;

    async fn run(&self, params: Params, _context: Context) -> Result<u64, Failure> {
        tokio::time::sleep(Duration::from_millis(params.ms)).await;
        Ok(params.ms)
    }
}
