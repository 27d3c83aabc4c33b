//! The guard against cross-site request forgery: refuses what a browser sends from a page of another site.

use axum::response::Response;
use tower_http::csrf::{CsrfLayer, ProtectionError, ResponseForProtectionError};

pub use tower_http::csrf::ConfigError;

/// Answers a request that was refused, see [`layer`].
#[derive(Debug, Clone, Copy)]
pub struct AnswerRefused(fn() -> Response);

/// A layer that refuses requests from other sites with `refused`. A request is from another site if `Sec-Fetch-Site` says so, or,
/// from browsers that do not send it, `Origin` is none of `origins` nor the request's own host. GET, HEAD and OPTIONS pass, and so
/// do requests with neither header, which no browser sends.
///
/// `origins` are the service's own and those whose pages may call it, as browsers send them: scheme, host in small letters, and a port if it is not the scheme's usual
/// one. Anything else is a [`ConfigError`].
pub fn layer<'a>(
    origins: impl IntoIterator<Item = &'a str>,
    refused: fn() -> Response,
) -> Result<CsrfLayer<AnswerRefused>, ConfigError> {
    let layer = origins.into_iter().try_fold(CsrfLayer::new(), CsrfLayer::add_trusted_origin)?;
    Ok(layer.with_rejection_response(AnswerRefused(refused)))
}

impl ResponseForProtectionError<axum::body::Body> for AnswerRefused {
    fn response_for_protection_error(&mut self, _: ProtectionError) -> Response {
        self.0()
    }
}
