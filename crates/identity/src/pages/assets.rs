//! The stylesheet and the logo, from the binary.

use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};

type File = ([(HeaderName, &'static str); 2], &'static str);

const CACHED: (HeaderName, &str) = (CACHE_CONTROL, "public, max-age=3600");

/// `GET /assets/identity.css`
pub(crate) async fn style() -> File {
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), CACHED], include_str!("../../assets/identity.css"))
}

/// `GET /assets/logo.svg`
pub(crate) async fn logo() -> File {
    ([(CONTENT_TYPE, "image/svg+xml"), CACHED], include_str!("../../assets/logo.svg"))
}
