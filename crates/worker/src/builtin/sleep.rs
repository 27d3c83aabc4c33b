//! `SLEEP`: a task of a known duration, to try out deadlines and cancellations.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

use crate::builtin::integer;
use crate::sdk::context::Context;
use crate::sdk::operation::{Failure, Operation};

/// The time between two reports of the progress.
const REPORT_PERIOD: Duration = Duration::from_secs(1);

/// The operation `SLEEP`: waits for the given time and returns it, in milliseconds. It reports its progress each second.
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

    async fn run(&self, params: Params, context: Context) -> Result<u64, Failure> {
        let time = Duration::from_millis(params.ms);
        let began = Instant::now();
        loop {
            let slept = began.elapsed();
            if slept >= time {
                return Ok(params.ms);
            }
            if slept >= REPORT_PERIOD {
                let percent = slept.as_millis() * 100 / time.as_millis();
                context.progress(u32::try_from(percent).unwrap_or(100), "sleeping");
            }
            tokio::time::sleep(time.saturating_sub(slept).min(REPORT_PERIOD)).await;
        }
    }
}
