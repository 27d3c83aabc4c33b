//! The id of a request: taken from `X-Request-Id` or made here, returned in the answer, and named by problem documents and logs.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use crate::problem;

/// The header that carries the id, in requests and in answers.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id, in bytes, that is taken from a request.
const MAX_LENGTH: usize = 64;

/// The id of a request: 1 to 64 of `A-Z a-z 0-9 . _ -`. It is in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id that a request has in its header. One that could break a log line or a URI, is too long, or came twice is replaced
    /// by a new one (UUID version 4).
    fn from_headers(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        let value = values.next().filter(|_| values.next().is_none());
        let text = value.and_then(|value| value.to_str().ok()).filter(|text| is_valid(text));
        Self(text.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a URI, in the form of the member `instance` of a problem: `urn:uuid:` (RFC 9562, section 4) and the UUID, or
    /// `urn:tasker:request:` and an id of another form, which the caller has chosen.
    pub fn urn(&self) -> String {
        match Uuid::try_parse(&self.0) {
            Ok(uuid) => uuid.urn().to_string(),
            Err(_) => format!("urn:tasker:request:{}", self.0),
        }
    }
}

/// Middleware that gives a request its [`RequestId`], in the request's extensions, in the answer's `X-Request-Id`, and as
/// `instance` of a [`problem::response`]. It must be outside of every layer that may answer with a problem.
///
/// The layers of `tower-http` (`request-id`) are not used because they take any id that comes, whatever its length and content,
/// and would need a layer in front, one behind, and one for the problem's `instance`.
pub async fn assign(mut request: Request, next: Next) -> Response {
    let id = RequestId::from_headers(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    problem::set_instance(&mut response, &id.urn());
    let value = HeaderValue::from_str(id.as_str()).expect("a header may contain the characters of an id");
    response.headers_mut().insert(X_REQUEST_ID, value);
    response
}

fn is_valid(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(values: &[&'static str]) -> RequestId {
        let values = values.iter().map(|value| (X_REQUEST_ID, HeaderValue::from_static(value)));
        RequestId::from_headers(&values.collect())
    }

    #[test]
    fn a_valid_id_is_kept() {
        for text in ["a", "0191-a_b.C", "0123456789012345678901234567890123456789012345678901234567890123"] {
            assert_eq!(id(&[text]).as_str(), text);
        }
    }

    #[test]
    fn an_invalid_id_is_replaced_by_a_uuid() {
        let too_long = "01234567890123456789012345678901234567890123456789012345678901234";
        for values in [&[][..], &[""], &["a b"], &["a/b"], &["a\"b"], &[too_long], &["a", "a"]] {
            assert!(Uuid::try_parse(id(values).as_str()).is_ok(), "{values:?}");
        }
    }

    #[test]
    fn an_id_as_a_uri_says_whether_it_is_a_uuid() {
        let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        assert_eq!(id(&[uuid]).urn(), format!("urn:uuid:{uuid}"));
        assert_eq!(id(&["build.17"]).urn(), "urn:tasker:request:build.17");
    }
}
