//! Compression of answers with gzip, for routes that a service chooses.

use axum::Router;
use axum::extract::Request;
use axum::http::header::ACCEPT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

/// The smallest answer that is compressed, in bytes. What is smaller fits into one packet in any case.
const MIN_BYTES: u64 = 1024;

/// Compresses the answers of `routes` with gzip for clients that accept it, streamed ones chunk by chunk. Left alone are small answers,
/// pictures, event streams, whose events would wait in the compressor, and answers that have a `Content-Encoding` already. The
/// level is the lowest, since it is the server's processor that compresses.
///
/// Give it routes whose bodies hold no secret, or none beside text that a stranger may choose again and again. Where a body mixes a
/// secret (a token, a form's hidden field) with such text, the length of the compressed body reveals the secret guess by guess (BREACH).
pub fn gzip<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    let is_worth_it = SizeAbove::new(MIN_BYTES).and(NotForContentType::IMAGES).and(NotForContentType::SSE);
    let layer = CompressionLayer::new().gzip(true).no_br().no_deflate().no_zstd();
    let layer = layer.quality(CompressionLevel::Fastest).compress_when(is_worth_it);
    routes.layer((from_fn(overlook_other_encodings), layer))
}

/// Middleware that leaves of `Accept-Encoding` what it says of gzip. The layer would change the status of an answer to 406 where the
/// header refuses the encoding `identity`, after the request has had its effect; RFC 9110 (section 12.5.3) allows to overlook that.
async fn overlook_other_encodings(mut request: Request, next: Next) -> Response {
    let of_gzip = of_gzip(request.headers());
    request.headers_mut().remove(ACCEPT_ENCODING);
    if let Ok(value) = HeaderValue::try_from(of_gzip) {
        request.headers_mut().insert(ACCEPT_ENCODING, value);
    }
    next.run(request).await
}

/// The members of `Accept-Encoding` that name gzip.
fn of_gzip(headers: &HeaderMap) -> String {
    let texts = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let is_gzip = |member: &&str| {
        let coding = member.split(';').next().unwrap_or_default().trim();
        coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip")
    };
    texts.flat_map(|text| text.split(',')).filter(is_gzip).collect::<Vec<_>>().join(",")
}
