//! Parameters in the path and in the query.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use domain::TaskId;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// The one parameter of a path, as text.
#[derive(Debug)]
pub(crate) struct NamePath(pub(crate) String);

/// The one parameter of a path, as a task's id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TaskIdPath(pub(crate) TaskId);

/// The query.
#[derive(Debug)]
pub(crate) struct QueryParams<T>(pub(crate) T);

impl<S: Send + Sync> FromRequestParts<S> for NamePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name)).map_err(|error| ApiError::Malformed(error.body_text()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TaskIdPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let NamePath(text) = NamePath::from_request_parts(parts, state).await?;
        let id = text.parse().map(Self);
        id.map_err(|_| ApiError::Malformed(format!("{text:?} is not a task's id (a UUID)")))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|error| ApiError::Malformed(error.body_text()))
    }
}
