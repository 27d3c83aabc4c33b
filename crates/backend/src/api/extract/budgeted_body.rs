//! Bodies of workers' requests, which may be large: the memory that all of them take together is bounded.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_LENGTH;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use web::json_body::JsonBody;

use crate::app::AppState;
use crate::error::ApiError;

/// The largest body, in bytes: a batch of reports.
pub(crate) const MAX_BYTES: u32 = 32 << 20;

/// The bytes of all bodies that are read or handled at once.
const BUDGET_BYTES: usize = 256 << 20;

/// How long a request waits for its share of the budget.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A JSON body whose bytes are reserved until the request is answered. A body of unknown length reserves the largest one. Put it
/// after the caller: nothing is reserved for a request without a valid token.
pub(crate) struct BudgetedBody(pub(crate) JsonBody<ApiError>, pub(crate) OwnedSemaphorePermit);

/// The budget of a Backend, in bytes.
pub(crate) fn new_budget() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BUDGET_BYTES))
}

impl FromRequest<Arc<AppState>> for BudgetedBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let length =
            request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let bytes = length.unwrap_or(MAX_BYTES).min(MAX_BYTES);
        let reserved = timeout(MAX_WAIT, app.body_budget.clone().acquire_many_owned(bytes)).await;
        let reserved = reserved.map_err(|_| ApiError::Overloaded)?.expect("the budget is never closed");
        Ok(Self(JsonBody::from_request(request, app).await?, reserved))
    }
}
