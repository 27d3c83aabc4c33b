//! JSON bodies of requests.

use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The byte order mark of UTF-8, which some programs put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body that is JSON by its `Content-Type`, read whole and within the route's limit, without a byte order mark. `E` is the error
/// by which the service refuses another body.
#[derive(Debug)]
pub struct JsonBody<E> {
    bytes: Bytes,
    error: PhantomData<fn() -> E>,
}

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    /// The `Content-Type` names another format.
    #[error("the body must be JSON, sent with Content-Type: application/json")]
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

/// Why a body cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum InvalidJson {
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    Syntax(serde_json::Error),
    /// The body is JSON of another shape than the route reads.
    #[error("{0}")]
    Shape(serde_json::Error),
}

impl<E> JsonBody<E> {
    /// The bytes of the body.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<E: From<InvalidJson>> JsonBody<E> {
    /// The body as a `T`.
    ///
    /// # Errors
    ///
    /// [`InvalidJson`], as an error of the service. A failed body is parsed again as plain JSON, because the
    /// deserializer of `T` may stop at a wrong shape before it reaches a syntax error.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, E> {
        serde_json::from_slice(&self.bytes).map_err(|shape| {
            let syntax = serde_json::from_slice::<&RawValue>(&self.bytes).err();
            syntax.map_or(InvalidJson::Shape(shape), InvalidJson::Syntax).into()
        })
    }
}

impl<E: From<InvalidBody> + IntoResponse, S: Send + Sync> FromRequest<S> for JsonBody<E> {
    type Rejection = E;

    async fn from_request(request: Request, state: &S) -> Result<Self, E> {
        if !is_json(request.headers()) {
            return Err(InvalidBody::NotJson.into());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                InvalidBody::TooLarge
            } else {
                InvalidBody::Unreadable(rejection.body_text())
            }
        })?;
        let has_mark = bytes.starts_with(BYTE_ORDER_MARK);
        let bytes = if has_mark { bytes.slice(BYTE_ORDER_MARK.len()..) } else { bytes };
        Ok(Self { bytes, error: PhantomData })
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
