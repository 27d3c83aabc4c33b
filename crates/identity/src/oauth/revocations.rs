//! `GET /connect/revocations`: the access tokens that are refused before they expire, for Backends. It needs no token, since it
//! names neither accounts nor clients.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use web::revocation::RevocationList;

use crate::api::problem::ApiError;
use crate::app::App;

/// List the revoked access tokens
///
/// What a Backend refuses before it expires. With the `ETag` of the last answer in `If-None-Match` the answer is 304 while nothing has
/// changed (RFC 9110, section 13.1.2).
#[utoipa::path(get, path = "/connect/revocations", operation_id = "listRevocations", tag = "Tokens", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the last answer")),
    responses((status = 200, body = RevocationList, description = "The list",
            headers(("ETag" = String, description = "The version of the list"))),
        (status = 304, description = "The list is as it was", headers(("ETag" = String, description = "The version of the list"))),
        (status = 503, description = "The database is unavailable; try again after `Retry-After`")))]
pub(crate) async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let list = app.revocations.list(&app.grants).await?;
    let body = serde_json::to_vec(&list).expect("plain data is JSON");
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&SHA256, &body)));
    let tag = HeaderValue::try_from(tag).expect("base64url is visible ASCII");
    let is_known = headers.get(IF_NONE_MATCH) == Some(&tag);
    let head = [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (ETAG, tag)];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, [(CONTENT_TYPE, "application/json")], body).into_response())
}
