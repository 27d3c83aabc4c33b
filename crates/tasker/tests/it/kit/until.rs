//! Waits for what must come: by looking again and again, where nothing rings.

use std::time::Duration;

use tokio::time::{interval, timeout};

/// Waits until `holds`; only a broken program lets a minute pass.
pub async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let look = async {
        let mut looks = interval(Duration::from_millis(20));
        while !holds().await {
            looks.tick().await;
        }
    };
    assert!(timeout(Duration::from_mins(1), look).await.is_ok(), "not within a minute: {what}");
}
