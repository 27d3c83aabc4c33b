//! The time limit of a request, and how routes that wait on purpose get more time.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::{Instant, timeout_at};

/// How long a request wants to wait for something (a long poll), by its headers. The function bounds it.
pub type Wait = fn(&Request) -> Duration;

/// The time limit of the requests of a router.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimit {
    limit: Duration,
    answer: fn() -> Response,
}

/// When a request is ended at the latest. [`enforce`] puts it into the request's extensions.
#[derive(Debug, Clone)]
pub struct RequestDeadline {
    started: Instant,
    limit: Duration,
    /// Milliseconds that routes have added.
    allowance: Arc<AtomicU64>,
}

impl TimeLimit {
    /// A request that takes longer than `limit` is dropped and answered with `answer`, such as a problem with status 503.
    pub fn new(limit: Duration, answer: fn() -> Response) -> Self {
        Self { limit, answer }
    }
}

impl RequestDeadline {
    fn new(limit: Duration) -> Self {
        Self { started: Instant::now(), limit, allowance: Arc::default() }
    }

    /// The latest instant at which a handler should return its answer: one tenth of the limit before the request times out.
    pub fn answer_deadline(&self) -> Instant {
        self.end() - self.limit / 10
    }

    fn end(&self) -> Instant {
        self.started + self.limit + Duration::from_millis(self.allowance.load(Ordering::Relaxed))
    }

    fn extend(&self, wait: Duration) {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.allowance.fetch_add(wait, Ordering::Relaxed);
    }
}

/// Middleware that ends a request at its [`RequestDeadline`]. The body of the answer is not counted.
pub async fn enforce(State(limit): State<TimeLimit>, mut request: Request, next: Next) -> Response {
    let deadline = RequestDeadline::new(limit.limit);
    request.extensions_mut().insert(deadline.clone());
    let mut response = pin!(next.run(request));
    loop {
        let end = deadline.end();
        match timeout_at(end, response.as_mut()).await {
            Ok(response) => return response,
            // A route has asked for more time since this wait began.
            Err(_) if deadline.end() > end => {}
            Err(_) => return (limit.answer)(),
        }
    }
}

/// Middleware for the routes that wait, inside of [`enforce`]: the time that the request asks to wait is added to its time limit. Other
/// routes have no use for a wait, and a caller cannot lengthen them.
pub async fn allow_wait(State(wait): State<Wait>, request: Request, next: Next) -> Response {
    if let Some(deadline) = request.extensions().get::<RequestDeadline>() {
        deadline.extend(wait(&request));
    }
    next.run(request).await
}
