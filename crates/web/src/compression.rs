//! Compression of answers with gzip, for routes that a service chooses.

use tower_http::compression::CompressionLayer;

/// A layer that compresses answers with gzip for clients that accept it. Small bodies, pictures and answers that have a
/// `Content-Encoding` already are left alone.
///
/// Put it around routes whose bodies hold no secret, or none beside text that a caller chose. Where a body mixes a secret
/// (a token, a form's hidden field) with input, the length of the compressed body reveals the secret guess by guess (BREACH).
pub fn gzip() -> CompressionLayer {
    CompressionLayer::new().gzip(true).no_br().no_deflate().no_zstd()
}
