//! Compressed bodies of requests: gzip is decompressed, every other encoding is refused.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use domain::Problem;
use domain::problem_types::requests::UNSUPPORTED_ENCODING;
use tower_http::decompression::RequestDecompressionLayer;

use crate::problem;

/// Decompresses bodies before the routes read them. The limit of a route's body holds for the decompressed one, of which no
/// more than that is kept in memory. An encoding other than gzip is answered with `refused`, whose status is 415, and
/// `Accept-Encoding` (RFC 7694).
pub fn decode<S: Clone + Send + Sync + 'static>(routes: Router<S>, refused: fn() -> Response) -> Router<S> {
    routes.layer((from_fn_with_state(refused, refuse_others), RequestDecompressionLayer::new()))
}

/// A problem document (RFC 9457) that refuses an encoding.
pub fn problem() -> Response {
    let detail = "Content-Encoding must be gzip or identity";
    problem::response(Problem::new(&UNSUPPORTED_ENCODING, detail))
}

async fn refuse_others(
    State(refused): State<fn() -> Response>,
    mut request: Request,
    next: Next,
) -> Response {
    let encodings = request.headers().get_all(CONTENT_ENCODING);
    let encodings = encodings.iter().map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    let encodings: Vec<String> = encodings.filter(|encoding| encoding != "identity").collect();
    match encodings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => drop(request.headers_mut().remove(CONTENT_ENCODING)),
        // The older name means the same (RFC 9110, section 8.4.1.3).
        ["gzip" | "x-gzip"] => {
            request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        _ => {
            let mut response = refused();
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
            return response;
        }
    }
    next.run(request).await
}
