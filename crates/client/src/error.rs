//! Why a request came to nothing, with its cause kept.

use std::sync::Arc;
use std::time::Duration;

use domain::Problem;

/// A request that came to nothing. It is cloned for everyone who waited for the same token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// No answer: the connection was refused or cut, or the time limit passed.
    #[error("no answer from {url}")]
    Unreachable {
        /// Who was asked.
        url: String,
        /// What the connection said.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The server's certificate is not to be trusted. It may be renewed, so asking again later is right.
    #[error("the certificate of {url} is refused")]
    Untrusted {
        /// Who was asked.
        url: String,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// The server says no, and why.
    #[error("{}", problem.detail)]
    Refused {
        /// Its answer.
        problem: Box<Problem>,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// Identity gives no token (RFC 6749, 5.2).
    #[error("Identity gives no token: {error}{}", description.as_deref().map(|said| format!(", {said}")).unwrap_or_default())]
    Token {
        /// The error's code, as `invalid_grant`.
        error: String,
        /// The error as a sentence.
        description: Option<String>,
        /// The HTTP status code.
        status: u16,
        /// How long Identity asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// An answer that is not in the contract: whatever listens there is not Tasker, or something stands before it.
    #[error("unexpected answer from {url}, status {status}")]
    Unexpected {
        /// Who was asked.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
        /// Why the body could not be read, where it was a body that was expected.
        #[source]
        source: Option<Arc<serde_json::Error>>,
    },
    /// No address of an HTTP server.
    #[error("`{address}` is no address of the form http://host:port")]
    BadAddress {
        /// As it was given.
        address: String,
    },
    /// Not even a connection can be made ready.
    #[error("TLS cannot be set up")]
    BadTls(#[source] Arc<reqwest::Error>),
    /// What should be trusted holds nothing to trust.
    #[error("there is no certificate (BEGIN CERTIFICATE) of an authority to trust")]
    NoAuthority,
}

impl ClientError {
    /// Whether the same request may go through a little later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Untrusted { .. } => true,
            Self::Refused { problem, .. } => is_passing(problem.status),
            Self::Token { status, .. } | Self::Unexpected { status, .. } => is_passing(*status),
            Self::BadAddress { .. } | Self::BadTls(_) | Self::NoAuthority => false,
        }
    }

    /// Whether the server broke over this request: another request may go through meanwhile.
    pub fn is_servers_fault(&self) -> bool {
        match self {
            Self::Refused { problem, .. } => problem.status == 500,
            Self::Unexpected { status, .. } => *status == 500,
            _ => false,
        }
    }

    /// Whether it is the caller that is refused and not the request: an account that does not exist yet, a role that it
    /// has not been given.
    pub fn is_about_the_caller(&self) -> bool {
        match self {
            Self::Token { .. } => !self.is_temporary(),
            Self::Refused { problem, .. } => matches!(problem.status, 401 | 403),
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::Unexpected { .. }
            | Self::BadAddress { .. }
            | Self::BadTls(_)
            | Self::NoAuthority => false,
        }
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. }
            | Self::Token { retry_after, .. }
            | Self::Unexpected { retry_after, .. } => *retry_after,
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::BadAddress { .. }
            | Self::BadTls(_)
            | Self::NoAuthority => None,
        }
    }

    /// The server's problem, if it answered with one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }
}

/// Statuses that speak of the moment and not of the request.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> ClientError {
        ClientError::Refused {
            problem: Box::new(Problem::new(status, "x", "X", "because")),
            retry_after: Some(Duration::from_secs(3)),
        }
    }

    #[test]
    fn an_overload_passes_and_a_conflict_does_not() {
        assert!(refused(503).is_temporary());
        assert!(refused(429).is_temporary());
        assert!(!refused(409).is_temporary());
        assert!(refused(500).is_temporary() && refused(500).is_servers_fault());
        assert!(!refused(503).is_servers_fault(), "it is busy, not broken");
        assert_eq!(refused(503).retry_after(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_missing_account_is_about_the_caller() {
        let token = |status| ClientError::Token {
            error: "invalid_client".to_owned(),
            description: Some("there is no client `rig`".to_owned()),
            status,
            retry_after: None,
        };
        assert!(token(401).is_about_the_caller());
        assert!(!token(503).is_about_the_caller());
        assert!(refused(403).is_about_the_caller());
        assert_eq!(
            token(401).to_string(),
            "Identity gives no token: invalid_client, there is no client `rig`"
        );
    }
}
