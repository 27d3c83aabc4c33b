//! Static files in the binary, served under names that hold a hash of their content, so that browsers may cache them for ever.

use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;

/// A year, the longest that RFC 9111 caches are expected to honour; `immutable` (RFC 8246) spares the check on reload.
const CACHED_FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A static file. Make it once, in a `LazyLock`: the constructor hashes the content.
#[derive(Debug, Clone)]
pub struct Asset {
    url: String,
    media_type: &'static str,
    content: &'static [u8],
}

impl Asset {
    /// A file `name` (`identity.css`) with a media type for `Content-Type` and the content from `include_bytes!`.
    ///
    /// A stylesheet that refers to another asset would need that asset's hashed URL in its text; none of ours does.
    pub fn new(name: &str, media_type: &'static str, content: &'static [u8]) -> Self {
        let hash = short_hash(content);
        let url = match name.rsplit_once('.') {
            Some((stem, extension)) => format!("/assets/{stem}.{hash}.{extension}"),
            None => format!("/assets/{name}.{hash}"),
        };
        Self { url, media_type, content }
    }

    /// The path under which the file is served, for templates: `/assets/identity.3fa1b2c4d5e6.css`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The first 48 bits of the SHA-256 as hexadecimal digits: enough to distinguish the few versions of one file.
fn short_hash(content: &[u8]) -> String {
    let hash = digest(&SHA256, content);
    let start = hash.as_ref().first_chunk().expect("a SHA-256 has 32 bytes");
    format!("{:012x}", u64::from_be_bytes(*start) >> 16)
}

/// Routes for these files. Nothing else is served: the name without its hash is unknown.
pub fn router<S: Clone + Send + Sync + 'static>(
    assets: impl IntoIterator<Item = &'static Asset>,
) -> Router<S> {
    assets.into_iter().fold(Router::new(), |router, asset| {
        let headers = [(CONTENT_TYPE, asset.media_type), (CACHE_CONTROL, CACHED_FOR_EVER)];
        router.route(asset.url(), get(async move || (headers, Bytes::from_static(asset.content))))
    })
}
