//! Waits for a condition that nothing announces: it is checked again and again, for a minute at most.

use std::time::Duration;

use tokio::time::{interval, timeout};

/// How long a test waits for something that must happen. Only a broken program takes that long.
pub const MAX_WAIT: Duration = Duration::from_mins(1);

/// The pause between two checks, so that a test that waits leaves the processor to the program.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `condition` holds. Panics with `what`, the condition in words, after [`MAX_WAIT`].
pub async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let poll = async {
        let mut checks = interval(CHECK_INTERVAL);
        while !condition().await {
            checks.tick().await;
        }
    };
    assert!(timeout(MAX_WAIT, poll).await.is_ok(), "not within {} s: {what}", MAX_WAIT.as_secs());
}
