//! Swagger UI's files, from the binary.

use std::io::Read;
use std::sync::Arc;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use flate2::read::GzDecoder;
use utoipa_swagger_ui::Config;

use crate::api::extract::params::NamePath;
use crate::api::openapi::DOCUMENT_PATH;
use crate::error::ApiError;

/// Swagger UI needs its own files, inline styles and inline pictures, and nothing from elsewhere.
const CONTENT_SECURITY_POLICY_VALUE: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// One of the files. The binary contains them compressed.
pub(crate) async fn file(NamePath(file): NamePath, given: HeaderMap) -> Result<Response, ApiError> {
    let config = Config::from(DOCUMENT_PATH).try_it_out_enabled(true).persist_authorization(true);
    let file = utoipa_swagger_ui::serve(&file, Arc::new(config)).ok().flatten().ok_or(ApiError::NoRoute)?;
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::try_from(file.content_type).map_err(|error| ApiError::Internal(error.into()))?;
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY_VALUE));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let mut bytes = file.bytes.into_owned();
    if file.gzpipped && accepts_gzip(&given) {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    } else if file.gzpipped {
        let mut plain = Vec::new();
        let read = GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain);
        read.map_err(|error| ApiError::Internal(error.into()))?;
        bytes = plain;
    }
    Ok((headers, bytes).into_response())
}

fn accepts_gzip(given: &HeaderMap) -> bool {
    let codings = given.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    codings.flat_map(|codings| codings.split(',')).any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(quality.trim(), "q=0" | "q=0.0")
    })
}
