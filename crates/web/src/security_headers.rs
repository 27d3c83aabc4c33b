//! Security headers: the instructions for browsers on every answer, errors included.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The headers of one routes.
#[derive(Debug, Clone)]
pub struct SecurityHeaders(Arc<Vec<(HeaderName, HeaderValue)>>);

impl SecurityHeaders {
    /// The headers of every surface: no guessing of media types, no `Referer` for other sites, no caching.
    pub fn new() -> Self {
        Self(Arc::default())
            .with(X_CONTENT_TYPE_OPTIONS, "nosniff")
            .with(REFERRER_POLICY, "no-referrer")
            .with(CACHE_CONTROL, "no-store")
    }

    /// Adds those of a surface with pages: what a page may load and who may frame it (Content Security Policy), no framing by
    /// browsers that know only `X-Frame-Options`, and no sharing with windows and documents of other origins.
    #[must_use]
    pub fn pages(self, content_security_policy: &str) -> Self {
        self.with(CONTENT_SECURITY_POLICY, content_security_policy)
            .with(X_FRAME_OPTIONS, "DENY")
            .with(CROSS_ORIGIN_OPENER_POLICY, "same-origin")
            .with(CROSS_ORIGIN_RESOURCE_POLICY, "same-origin")
    }

    /// Sets another `Referrer-Policy`. With `no-referrer` browsers post forms with `Origin: null` over plain HTTP.
    #[must_use]
    pub fn referrer_policy(self, policy: &'static str) -> Self {
        self.with(REFERRER_POLICY, policy)
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        let headers = Arc::make_mut(&mut self.0);
        headers.retain(|(other, _)| *other != name);
        headers.push((name, HeaderValue::try_from(value).expect("a policy is visible ASCII")));
        self
    }
}

impl Default for SecurityHeaders {
    fn default() -> Self {
        Self::new()
    }
}

/// Middleware that sets each of the headers, unless the handler has set that one.
pub async fn set(State(headers): State<SecurityHeaders>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in headers.0.iter() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}
