//! JSON bodies of the administrators' API.

use serde::de::DeserializeOwned;

use crate::admin_api::problem::ApiError;

/// Reads a body. [`ApiError::MalformedJson`] if it is no JSON, [`ApiError::InvalidBody`] if it is not the expected object.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        if error.is_data() { ApiError::InvalidBody(error) } else { ApiError::MalformedJson(error) }
    })
}
