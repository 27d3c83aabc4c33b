//! The fields of a form: urlencoded, each at most once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// The fields by name.
pub(crate) struct Form(BTreeMap<String, String>);

/// Why a body is no form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidForm {
    #[error("send a form: application/x-www-form-urlencoded")]
    NotAForm,
    #[error("the form is too large")]
    TooLarge,
    #[error("the form did not arrive whole")]
    DecryptError,
    #[error("a field was sent twice")]
    Repeated,
}

impl Form {
    /// A field's text. A field without a text counts as absent (RFC 6749 §3.1).
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A field's text, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.field(name).unwrap_or_default()
    }

    /// Reads `name=text&…`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, InvalidForm> {
        let mut fields = BTreeMap::new();
        for (name, text) in form_urlencoded::parse(body) {
            match fields.entry(name.into_owned()) {
                Entry::Vacant(entry) => entry.insert(text.into_owned()),
                Entry::Occupied(_) => return Err(InvalidForm::Repeated),
            };
        }
        Ok(Self(fields))
    }
}

impl InvalidForm {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::DecryptError | Self::Repeated => StatusCode::BAD_REQUEST,
        }
    }
}

/// Each surface has a face of its own for it; this one is for a handler that has none.
impl IntoResponse for InvalidForm {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = InvalidForm;

    async fn from_request(request: Request, state: &S) -> Result<Self, InvalidForm> {
        let kind =
            request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(InvalidForm::NotAForm);
        }
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => InvalidForm::TooLarge,
                _ => InvalidForm::DecryptError,
            })?;
        Self::parse(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s14_a_field_comes_once() {
        let form = Form::parse(b"a=1&b=&c=x%26y+z").unwrap();
        assert_eq!((form.field("a"), form.field("b"), form.field("c")), (Some("1"), None, Some("x&y z")));
        assert_eq!(Form::parse(b"a=1&a=1").err(), Some(InvalidForm::Repeated));
    }
}
