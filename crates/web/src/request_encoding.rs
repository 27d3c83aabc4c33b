//! Compressed bodies of requests: gzip is decompressed, every other encoding is refused.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use domain::Problem;
use tower_http::decompression::RequestDecompressionLayer;

use crate::problem;

/// Decompresses bodies before the routes read them. The limit of a route's body holds for the decompressed one, of which no
/// more than that is kept in memory. An encoding other than gzip is answered with 415 and `Accept-Encoding` (RFC 7694).
pub fn decode<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(RequestDecompressionLayer::new()).layer(from_fn(refuse_others))
}

async fn refuse_others(mut request: Request, next: Next) -> Response {
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
            let detail = "Content-Encoding is gzip or identity";
            let problem = Problem::new(415, "unsupported-encoding", "Unsupported encoding", detail);
            let mut response = problem::response(problem);
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
            return response;
        }
    }
    next.run(request).await
}
