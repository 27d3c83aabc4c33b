//! Form bodies: `application/x-www-form-urlencoded`, each field at most once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// The fields of a form by name.
pub(crate) struct Form(BTreeMap<String, String>);

/// Why a body cannot be read as a form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidForm {
    #[error("the body must be a form (Content-Type application/x-www-form-urlencoded)")]
    NotAForm,
    #[error("the form is too large")]
    TooLarge,
    #[error("the body ended before the form was complete")]
    Incomplete,
    #[error("a field of the form is not UTF-8")]
    NotUtf8,
    #[error("a field of the form was sent twice")]
    Repeated,
}

impl Form {
    /// The value of a field. An empty value counts as absent (RFC 6749, section 3.1).
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a field, empty if it is absent.
    pub(crate) fn value_or_empty(&self, name: &str) -> &str {
        self.value(name).unwrap_or_default()
    }

    /// The fields as `name=value&…`.
    pub(crate) fn to_query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The same form without a field.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Reads `name=value&…`.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, InvalidForm> {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            // The parser replaces what is not UTF-8 by this character, so that different bytes would be one password.
            if name.contains(char::REPLACEMENT_CHARACTER) || value.contains(char::REPLACEMENT_CHARACTER) {
                return Err(InvalidForm::NotUtf8);
            }
            match fields.entry(name.into_owned()) {
                Entry::Vacant(entry) => entry.insert(value.into_owned()),
                Entry::Occupied(_) => return Err(InvalidForm::Repeated),
            };
        }
        Ok(Self(fields))
    }
}

impl InvalidForm {
    /// The HTTP status of the refusal.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete | Self::NotUtf8 | Self::Repeated => StatusCode::BAD_REQUEST,
        }
    }
}

/// The extractor's rejection must be a response. Every handler takes a `Result` and answers in its own format instead.
impl IntoResponse for InvalidForm {
    fn into_response(self) -> Response {
        (self.status(), self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = InvalidForm;

    async fn from_request(request: Request, state: &S) -> Result<Self, InvalidForm> {
        let media_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(InvalidForm::NotAForm);
        }
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => InvalidForm::TooLarge,
                _ => InvalidForm::Incomplete,
            })?;
        Self::parse(&body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_field_is_refused() {
        let form = Form::parse(b"a=1&b=&c=x%26y+z").unwrap();
        assert_eq!((form.value("a"), form.value("b"), form.value("c")), (Some("1"), None, Some("x&y z")));
        assert_eq!(Form::parse(b"a=1&a=1").err(), Some(InvalidForm::Repeated));
        for bytes in [&b"a=%FF"[..], b"a=\xff", b"%C3=1"] {
            assert_eq!(Form::parse(bytes).err(), Some(InvalidForm::NotUtf8));
        }
    }
}
