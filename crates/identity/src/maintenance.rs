//! Keeping house: the rotation of keys, and forgetting what has expired.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::OpenError;
use crate::app::App;

/// Far more often than keys change: what another Identity has made is seen long before it signs.
const EVERY: Duration = Duration::from_mins(1);

pub(crate) async fn run(app: &App, stop: &CancellationToken) {
    loop {
        if let Err(error) = round(app).await {
            warn!(error = &error as &dyn std::error::Error, "could not keep house; trying again in a minute");
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

pub(crate) async fn round(app: &App) -> Result<(), OpenError> {
    app.keys.tend().await?;
    app.sessions.forget().await?;
    app.registration_tokens.forget().await?;
    app.throttle.forget().await?;
    Ok(())
}
