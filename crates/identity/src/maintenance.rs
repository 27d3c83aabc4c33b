//! Periodic maintenance: rotates the signing keys and deletes expired rows.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::app::App;
use crate::error::OpenError;

/// The pause between two runs. It is far shorter than the announcement of a key, so that the keys which another instance
/// created are loaded long before they sign.
const INTERVAL: Duration = Duration::from_mins(1);

/// Runs the maintenance every [`INTERVAL`] until `stop` is cancelled; a failed run is logged and repeated.
pub(crate) async fn run(app: &App, stop: &CancellationToken) {
    loop {
        if let Err(error) = run_once(app).await {
            warn!(error = &error as &dyn std::error::Error, "maintenance failed; trying again in a minute");
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Rotates the signing keys, then deletes expired sessions, grants, devices, registration tokens, failed sign-ins and rate limits, and what was kept of
/// deleted accounts and of grants.
pub(crate) async fn run_once(app: &App) -> Result<(), OpenError> {
    app.keys.rotate().await?;
    app.sessions.delete_expired().await?;
    app.registration_tokens.delete_expired().await?;
    app.lockout.delete_expired().await?;
    app.rate_limiter.delete_expired().await?;
    app.devices.delete_expired().await?;
    app.grants.delete_expired(app.revocations.published_since()).await?;
    app.accounts.forget_deleted(app.revocations.published_since()).await?;
    Ok(())
}
