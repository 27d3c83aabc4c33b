//! JSON bodies of requests.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// The byte order mark of UTF-8, which some programs put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body that is JSON by its `Content-Type`, read whole and within the route's limit, without a byte order mark.
#[derive(Debug)]
pub struct JsonBody(pub Bytes);

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    /// The `Content-Type` names another format.
    #[error("the body is JSON: send it with Content-Type: application/json")]
    NotJson,
    /// The body is larger than the route allows, after it was decompressed.
    #[error("the body is too large")]
    TooLarge,
    /// The body ended early, or cannot be decompressed.
    #[error("the body cannot be read: {0}")]
    Unreadable(String),
}

impl InvalidBody {
    /// The HTTP status of the refusal.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// The extractor's rejection must be a response. Every service turns it into an error of its own instead.
impl IntoResponse for InvalidBody {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = InvalidBody;

    async fn from_request(request: Request, state: &S) -> Result<Self, InvalidBody> {
        if !is_json(request.headers()) {
            return Err(InvalidBody::NotJson);
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                InvalidBody::TooLarge
            } else {
                InvalidBody::Unreadable(rejection.body_text())
            }
        })?;
        let has_mark = body.starts_with(BYTE_ORDER_MARK);
        Ok(Self(if has_mark { body.slice(BYTE_ORDER_MARK.len()..) } else { body }))
    }
}

/// Whether the media type is JSON or a format based on it (RFC 6839). Without a media type the body is taken for what the
/// route reads (RFC 9110, section 8.3).
fn is_json(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(CONTENT_TYPE) else { return true };
    let media_type = media_type.to_str().unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_based_on_json = || essence.starts_with("application/") && essence.ends_with("+json");
    essence == "application/json" || is_based_on_json()
}
