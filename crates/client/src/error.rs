//! Why a request failed, with its cause.

use std::sync::Arc;
use std::time::Duration;

use domain::Problem;
use domain::problem_types::tasks::SUBMISSION_UNDER_WAY;

/// A failed request. Cloneable, since all requests that wait for the same token share its failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// No response: the connection was refused or closed, or the timeout passed.
    #[error("no answer from {url}")]
    Unreachable {
        /// The URL of the request.
        url: String,
        /// The error of the connection.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// The server's certificate is not trusted. It may be renewed, so a later attempt may succeed.
    #[error("the certificate of {url} is refused")]
    Untrusted {
        /// The URL of the request.
        url: String,
        /// Why the certificate is not trusted.
        #[source]
        source: rustls::Error,
    },
    /// The server answered with a problem (RFC 9457).
    #[error("{}", problem.detail)]
    Refused {
        /// The problem document of the answer.
        problem: Box<Problem>,
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// Identity refused to issue a token (RFC 6749, 5.2).
    #[error("Identity refused to issue a token: {error}{}", description.as_deref().map(|text| format!(", {text}")).unwrap_or_default())]
    Token {
        /// The error code, for example `invalid_grant`.
        error: String,
        /// The error description.
        description: Option<String>,
        /// The HTTP status code.
        status: u16,
        /// Identity's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// A response outside the contract: another program than Tasker listens there, or a proxy answered.
    #[error("unexpected answer from {url}, status {status}")]
    Unexpected {
        /// The URL of the request.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
        /// Why the body could not be decoded, if one was expected.
        #[source]
        source: Option<Arc<serde_json::Error>>,
    },
    /// The address is not that of an HTTP server.
    #[error("`{address}` is not an address of the form http://host:port")]
    BadAddress {
        /// The address as it was configured.
        address: String,
    },
    /// The HTTP client cannot be created.
    #[error("TLS cannot be set up")]
    BadTls(#[source] Arc<reqwest::Error>),
    /// The PEM text of the authorities to trust contains no certificate.
    #[error("the authorities to trust contain no certificate (BEGIN CERTIFICATE)")]
    NoAuthority,
}

impl ClientError {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Untrusted { .. } => true,
            Self::Refused { problem, .. } => is_temporary_status(problem.status),
            Self::Token { status, .. } | Self::Unexpected { status, .. } => is_temporary_status(*status),
            Self::BadAddress { .. } | Self::BadTls(_) | Self::NoAuthority => false,
        }
    }

    /// Whether the server may have done what the request asks: the answer is lost, or says that the server or a proxy before it was too
    /// slow or was not available.
    pub fn leaves_outcome_unknown(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_connect(),
            Self::Refused { problem, .. } => matches!(problem.status, 502..=504),
            Self::Unexpected { status, .. } => matches!(status, 502..=504),
            Self::Untrusted { .. }
            | Self::Token { .. }
            | Self::BadAddress { .. }
            | Self::BadTls(_)
            | Self::NoAuthority => false,
        }
    }

    /// Whether another request with the same idempotency key is being processed.
    pub fn is_submission_under_way(&self) -> bool {
        self.problem().is_some_and(|problem| problem.is(&SUBMISSION_UNDER_WAY))
    }

    /// Whether the server failed internally (500) at this request: another request may succeed.
    pub fn is_internal_server_error(&self) -> bool {
        match self {
            Self::Refused { problem, .. } => problem.status == 500,
            Self::Unexpected { status, .. } => *status == 500,
            _ => false,
        }
    }

    /// Whether the caller is refused, not the request: its account does not exist, or lacks the role.
    pub fn is_caller_refused(&self) -> bool {
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

    /// The server's `Retry-After`, if it sent one.
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

    /// The server's problem (RFC 9457), if it answered with one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            _ => None,
        }
    }
}

/// Whether an HTTP status means a temporary condition of the server. 421 too: the service or a proxy is not yet
/// configured for the host name.
fn is_temporary_status(status: u16) -> bool {
    matches!(status, 408 | 421 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use domain::problem_types::requests::INTERNAL;

    use super::*;

    fn refused(status: u16) -> ClientError {
        ClientError::Refused {
            problem: Box::new(Problem { status, ..Problem::new(&INTERNAL, "because") }),
            retry_after: Some(Duration::from_secs(3)),
        }
    }

    #[test]
    fn an_overload_is_temporary_and_a_conflict_is_not() {
        assert!(refused(503).is_temporary());
        assert!(refused(429).is_temporary() && refused(421).is_temporary());
        assert!(!refused(409).is_temporary());
        assert!(refused(500).is_temporary() && refused(500).is_internal_server_error());
        assert!(!refused(503).is_internal_server_error(), "503 means overload, not an internal error");
        assert_eq!(refused(503).retry_after(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn an_answer_that_is_lost_or_late_leaves_the_outcome_unknown() {
        assert!([502, 503, 504].into_iter().all(|status| refused(status).leaves_outcome_unknown()));
        assert!(![409, 422, 429, 500].into_iter().any(|status| refused(status).leaves_outcome_unknown()));
    }

    #[test]
    fn a_missing_account_is_caller_refused() {
        let token = |status| ClientError::Token {
            error: "invalid_client".to_owned(),
            description: Some("there is no client `rig`".to_owned()),
            status,
            retry_after: None,
        };
        assert!(token(401).is_caller_refused());
        assert!(!token(503).is_caller_refused());
        assert!(refused(403).is_caller_refused());
        assert_eq!(
            token(401).to_string(),
            "Identity refused to issue a token: invalid_client, there is no client `rig`"
        );
    }
}
