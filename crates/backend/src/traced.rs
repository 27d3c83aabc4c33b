//! The trace that a request belongs to: the caller's, else a new one.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::Trace;

/// See the module. A header that is none is as good as absent (W3C Trace Context, 3.2.2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced(pub(crate) Trace);

impl<S: Send + Sync> FromRequestParts<S> for Traced {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let given = parts.headers.get(Trace::HEADER).and_then(|value| value.to_str().ok());
        Ok(Self(given.and_then(|text| text.parse::<Trace>().ok()).map_or_else(Trace::new, Trace::step)))
    }
}
