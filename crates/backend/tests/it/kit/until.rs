//! Polling with a bound: a test tries again until a condition holds, and says what it waited for if it never does.

use std::time::Duration;

use tokio::time::timeout;

/// The longest that a test polls for one condition.
const POLL_LIMIT: Duration = Duration::from_mins(1);

/// Polls `condition` until it is true, and lets the other futures of the test run between two tries. Panics with
/// `expected` after [`POLL_LIMIT`].
pub(crate) async fn until(expected: &str, condition: impl AsyncFn() -> bool) {
    let poll = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(POLL_LIMIT, poll).await.is_ok(), "not within {POLL_LIMIT:?}: {expected}");
}
