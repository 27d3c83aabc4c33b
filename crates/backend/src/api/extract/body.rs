//! The body of a request: read whole, within its limit, and parsed as JSON.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use web::json_body::JsonBody;

use crate::error::ApiError;

/// A whole body within the route's size limit.
pub(crate) struct RequestBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for RequestBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        JsonBody::from_request(request, state).await.map(|JsonBody(body)| Self(body)).map_err(Into::into)
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
