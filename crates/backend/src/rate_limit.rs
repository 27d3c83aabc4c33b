//! The limit of the requests of each caller, and the headers that announce it (draft-ietf-httpapi-ratelimit-headers-11).

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use domain::SubjectId;
use parking_lot::Mutex;
use quick_cache::sync::Cache;

use crate::error::{ApiError, whole_seconds};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The time for which the setting counts.
const WINDOW: Duration = Duration::from_mins(1);

/// How many callers' buckets are kept. Beyond it those that are not used give way, and their callers begin with full ones.
const CACHE_CAPACITY: usize = 10_000;

/// Limits how many requests each caller may send to this Backend: a token bucket for each, which holds the requests of a minute and is
/// refilled evenly.
pub(crate) struct RateLimit {
    /// `None`: there is no limit.
    per_minute: Option<NonZeroU32>,
    buckets: Cache<SubjectId, Arc<Mutex<Bucket>>>,
}

/// A bucket, as the time at which it is full again.
struct Bucket(Instant);

/// What a caller may send after a request.
#[derive(Clone, Copy)]
struct Quota {
    per_minute: NonZeroU32,
    remaining: u32,
    full_in: Duration,
}

/// In the extensions of a request that counts: what was left after it. Whoever authenticates the caller fills it in.
#[derive(Clone, Default)]
struct Counted(Arc<OnceLock<Quota>>);

impl RateLimit {
    /// A limit of the requests of each caller.
    pub(crate) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self { per_minute, buckets: Cache::new(CACHE_CAPACITY) }
    }

    /// Counts the request with these extensions, if it comes through [`announce`]. Fails if the caller has none left.
    pub(crate) fn take(&self, caller: SubjectId, extensions: &Extensions) -> Result<(), ApiError> {
        let (Some(per_minute), Some(Counted(counted))) = (self.per_minute, extensions.get()) else {
            return Ok(());
        };
        let new = || Ok::<_, Infallible>(Arc::new(Mutex::new(Bucket(Instant::now()))));
        let Ok(bucket) = self.buckets.get_or_insert_with(&caller, new);
        let (quota, taken) = bucket.lock().take(per_minute, Instant::now());
        counted.get_or_init(|| quota);
        taken.map_err(|wait| ApiError::TooManyRequests { per_minute, wait })
    }
}

impl Bucket {
    /// Takes a request out. Fails with the time until there is one again.
    fn take(&mut self, per_minute: NonZeroU32, now: Instant) -> (Quota, Result<(), Duration>) {
        let refill = WINDOW / per_minute.get();
        let missing = self.0.saturating_duration_since(now);
        let quota = |full_in: Duration| {
            let remaining = WINDOW.saturating_sub(full_in).as_nanos() / refill.as_nanos();
            Quota { per_minute, remaining: u32::try_from(remaining).unwrap_or(u32::MAX), full_in }
        };
        match (missing + refill).checked_sub(WINDOW) {
            Some(wait) if !wait.is_zero() => (quota(missing), Err(wait)),
            _ => {
                self.0 = now + missing + refill;
                (quota(missing + refill), Ok(()))
            }
        }
    }
}

/// Middleware by which a request counts, and whose answer says what is left. It must be a layer of the routes whose handlers
/// authenticate the caller.
pub(crate) async fn announce(mut request: Request, next: Next) -> Response {
    let counted = Counted::default();
    request.extensions_mut().insert(counted.clone());
    let mut response = next.run(request).await;
    if let Some(Quota { per_minute, remaining, full_in }) = counted.0.get() {
        let policy = format!("\"requests\";q={per_minute};w={}", WINDOW.as_secs());
        let left = format!("\"requests\";r={remaining};t={}", whole_seconds(*full_in));
        for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)] {
            response.headers_mut().insert(name, HeaderValue::try_from(text).expect("the text is ASCII"));
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_the_requests_of_a_minute_and_is_refilled_evenly() {
        let start = Instant::now();
        let mut bucket = Bucket(start);
        let mut take = |at_ms| {
            let (quota, taken) =
                bucket.take(NonZeroU32::new(3).unwrap(), start + Duration::from_millis(at_ms));
            (quota.remaining, whole_seconds(quota.full_in), taken.map_err(whole_seconds))
        };
        assert_eq!(take(0), (2, 20, Ok(())));
        assert_eq!(take(0), (1, 40, Ok(())));
        assert_eq!(take(0), (0, 60, Ok(())));
        assert_eq!(take(0), (0, 60, Err(20)));
        assert_eq!(take(19_500), (0, 41, Err(1)));
        assert_eq!(take(20_000), (0, 60, Ok(())));
        assert_eq!(take(100_000), (2, 20, Ok(())));
    }
}
