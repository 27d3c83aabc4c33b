//! The body of a request: read whole, within its limit, and parsed as JSON.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::error::ApiError;

/// A whole body within the route's size limit.
pub(crate) struct RequestBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for RequestBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::BodyTooLarge
            } else {
                ApiError::Malformed(rejection.body_text())
            }
        })
    }
}

impl RequestBody {
    /// The body as a `T`. Fails with 400 if it is not JSON, and with 422 if it is JSON of another shape.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.0).map_err(|shape| match serde_json::from_slice::<&RawValue>(&self.0) {
            Ok(_) => ApiError::invalid("wrong-shape", "", shape.to_string()),
            Err(error) => ApiError::Malformed(format!("the body is not JSON: {error}")),
        })
    }
}
