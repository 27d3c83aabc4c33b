//! The layers around the routes: path normalization, refusal of cross-site requests, security headers.

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Uri};
use axum::middleware::map_response_with_state;
use axum::response::Response;
use tower::Layer;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;

use crate::app::App;
use crate::pages::error;

/// The largest body in bytes; every form is smaller.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// The headers of every response, errors included.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
         base-uri 'none'",
    ),
    (X_FRAME_OPTIONS, "DENY"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

const HSTS: &str = "max-age=31536000; includeSubDomains";

/// Puts the layers around the routes.
pub(crate) fn apply_layers(routes: Router, app: &Arc<App>) -> Router {
    let csrf = CsrfLayer::new()
        .add_trusted_origin(&app.settings.issuer)
        .expect("the issuer was checked when the settings were")
        .with_rejection_response(error::cross_site);
    let guarded = routes
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(csrf)
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(map_response_with_state(Arc::clone(app), add_security_headers));
    // A layer of the router itself would run after the route was chosen.
    Router::new().fallback_service(MapRequestLayer::new(normalize_path).layer(guarded))
}

/// Adds the security headers. Responses are not cached unless the handler says otherwise.
async fn add_security_headers(State(app): State<Arc<App>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.settings.is_https() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lower-cases the path and removes slashes at its end: all segments of our paths are fixed words.
fn normalize_path(mut request: Request) -> Request {
    let folded = request.uri().path().trim_end_matches('/').to_ascii_lowercase();
    let path = if folded.is_empty() { "/" } else { &folded };
    if path == request.uri().path() {
        return request;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = request.uri().clone().into_parts();
    if let Ok(folded) = PathAndQuery::from_str(&format!("{path}{query}")) {
        parts.path_and_query = Some(folded);
        *request.uri_mut() = Uri::from_parts(parts).expect("the same address with another path");
    }
    request
}
