//! JSON bodies of the administrators' API.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use web::json_body::JsonBody;

use crate::admin_api::problem::ApiError;

/// A whole body within the limit of its size.
pub(crate) struct RequestBody(Bytes);

impl<S: Send + Sync> FromRequest<S> for RequestBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        JsonBody::from_request(request, state).await.map(|JsonBody(body)| Self(body)).map_err(ApiError::Body)
    }
}

impl RequestBody {
    /// Reads the body. [`ApiError::MalformedJson`] if it is no JSON, [`ApiError::InvalidBody`] if it is not the expected
    /// object.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.0).map_err(|error| {
            if error.is_data() { ApiError::InvalidBody(error) } else { ApiError::MalformedJson(error) }
        })
    }
}
