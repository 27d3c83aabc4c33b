//! Health checks: whether the process runs, and whether it can serve requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;

/// `GET /health/live`: 200 while the process answers requests.
pub(crate) async fn live() -> &'static str {
    "live"
}

/// `GET /health/ready`: 200 if the database answers, else 503.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    match app.db.ping().await {
        Ok(()) => (StatusCode::OK, "ready"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer"),
    }
}
