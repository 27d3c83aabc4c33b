//! The answers of the authorization endpoint, with which a person is sent back to the client (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).

use axum::response::{IntoResponse, Response};

use crate::clients::redirect_uri;
use crate::error::ServiceFailure;
use crate::pages::error::PageError;
use crate::pages::render::redirect;

/// Where the person is sent back to.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// An address that the client has registered.
    pub(crate) redirect_uri: String,
    /// What the client sent, which is sent back.
    pub(crate) state: Option<String>,
}

/// Why there is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    InvalidRequest,
    UnauthorizedClient,
    AccessDenied,
    UnsupportedResponseType,
    InvalidScope,
    RequestNotSupported,
    RequestUriNotSupported,
    LoginRequired,
    ConsentRequired,
}

/// A request that gets no code.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The person sees a page, since the client is not known.
    Page(PageError),
    /// The client is told.
    Client { destination: Destination, code: ErrorCode, sentence: &'static str },
}

impl ErrorCode {
    const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::LoginRequired => "login_required",
            Self::ConsentRequired => "consent_required",
        }
    }
}

impl Destination {
    /// Refuses the request.
    pub(crate) fn refuse(self, code: ErrorCode, sentence: &'static str) -> Refusal {
        Refusal::Client { destination: self, code, sentence }
    }

    /// The address with the parameters of an answer, the state and the issuer.
    pub(crate) fn with(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let parameters = parameters.iter().copied().chain(state).chain([("iss", issuer)]);
        redirect_uri::with_parameters(&self.redirect_uri, parameters)
    }
}

impl Refusal {
    /// The response of an Identity with this `issuer`.
    pub(crate) fn into_response_of(self, issuer: &str) -> Response {
        match self {
            Self::Page(error) => error.into_response(),
            Self::Client { destination, code, sentence } => {
                let parameters = [("error", code.name()), ("error_description", sentence)];
                redirect(&destination.with(issuer, &parameters))
            }
        }
    }
}

impl<E: Into<ServiceFailure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Page(PageError::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_comes_back_as_it_was_sent() {
        let destination = Destination {
            redirect_uri: "https://app.example.org/cb?x=1".to_owned(),
            state: Some("a b&c=d/é\"'<".to_owned()),
        };
        let url = destination.with("https://id", &[("code", "c")]);
        let query = url.strip_prefix("https://app.example.org/cb?x=1&").unwrap();
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs, [pair("code", "c"), pair("state", "a b&c=d/é\"'<"), pair("iss", "https://id")]);
    }
}
