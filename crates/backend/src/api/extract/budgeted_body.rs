//! Bodies that may be large, of workers' requests and of batches of submissions: the memory that all of a kind take together is bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use domain::limits::MAX_BATCH_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use web::json_body::JsonBody;

use crate::app::AppState;
use crate::error::ApiError;

/// The largest body, in bytes: a batch of reports.
pub(crate) const MAX_BYTES: u32 = 32 << 20;

/// The bytes of all bodies that are read or handled at once.
const BUDGET_BYTES: usize = 256 << 20;

/// The bytes of all batches of submissions that are read or handled at once. Workers' reports do not wait for them.
const BATCH_BUDGET_BYTES: usize = 4 * MAX_BATCH_BYTES as usize;

/// How long a request waits for its share of the budget.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A JSON body whose bytes are reserved until the request is answered. A body of unknown length reserves the largest one. Put it
/// after the caller: nothing is reserved for a request without a valid token.
pub(crate) struct BudgetedBody(pub(crate) JsonBody<ApiError>, pub(crate) OwnedSemaphorePermit);

/// The body of a batch of submissions, reserved in the same way.
pub(crate) struct BatchBody(pub(crate) JsonBody<ApiError>, pub(crate) OwnedSemaphorePermit);

/// The budget of a Backend for batches of submissions, in bytes.
pub(crate) fn new_batch_budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BATCH_BUDGET_BYTES))
}

/// The budget of a Backend for workers' requests, in bytes.
pub(crate) fn new_budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BUDGET_BYTES))
}

impl FromRequest<Arc<AppState>> for BudgetedBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let reserved = reserve(&app.body_budget, request.headers(), MAX_BYTES).await?;
        Ok(Self(JsonBody::from_request(request, app).await?, reserved))
    }
}

impl FromRequest<Arc<AppState>> for BatchBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let reserved = reserve(&app.batch_budget, request.headers(), MAX_BATCH_BYTES).await?;
        Ok(Self(JsonBody::from_request(request, app).await?, reserved))
    }
}

async fn reserve(
    budget: &Arc<Semaphore>,
    headers: &HeaderMap,
    max_bytes: u32,
) -> Result<OwnedSemaphorePermit, ApiError> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let bytes = length.unwrap_or(max_bytes).min(max_bytes);
    let reserved = timeout(MAX_WAIT, budget.clone().acquire_many_owned(bytes)).await;
    Ok(reserved.map_err(|_| ApiError::Overloaded)?.expect("the budget is never closed"))
}
