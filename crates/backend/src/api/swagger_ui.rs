//! Swagger UI's files, from the binary.

use std::sync::Arc;

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use crate::api::extract::params::NamePath;
use crate::api::openapi::DOCUMENT_PATH;
use crate::error::ApiError;

/// The page that the others belong to.
pub(crate) const INDEX_PATH: &str = "/index.html";

/// Swagger UI needs its own files, inline styles and inline pictures, and nothing from elsewhere.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// One of the files.
pub(crate) async fn serve_file(NamePath(file): NamePath) -> Result<Response, ApiError> {
    let config = Config::from(DOCUMENT_PATH).try_it_out_enabled(true).persist_authorization(true);
    let file = utoipa_swagger_ui::serve(&file, Arc::new(config)).ok().flatten().ok_or(ApiError::NoRoute)?;
    let content_type =
        HeaderValue::try_from(file.content_type).map_err(|error| ApiError::Internal(error.into()))?;
    let headers = [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
    Ok((headers, file.bytes.into_owned()).into_response())
}
