//! The time limit of a request.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};

use crate::api::extract::prefer::Prefer;
use crate::app::AppState;
use crate::error::ApiError;
use crate::long_poll::queue;

/// When a handler that has an answer gives it at the latest: a moment before its request is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseDeadline(pub(crate) Instant);

/// Ends a request that takes too long. What it asked to wait for is not counted.
pub(crate) async fn enforce_timeout(
    State(app): State<Arc<AppState>>,
    mut request: Request,
    next: Next,
) -> Response {
    let held = if request.uri().path() == "/api/Task/request" { queue::MAX_WAIT } else { Duration::ZERO };
    let wait = Prefer::from_headers(request.headers()).wait.unwrap_or(held);
    let ours = app.settings.request_timeout;
    let limit = ours + wait;
    request.extensions_mut().insert(ResponseDeadline(Instant::now() + limit - ours / 10));
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| ApiError::TimedOut.into_response())
}
