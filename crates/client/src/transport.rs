//! One request and its answer: connections, time limits, and the three kinds of body that may come back.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::Problem;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::ClientError;

/// How long any request may take beyond the time that it asks the server to wait. The server's own limit is 10 seconds:
/// when that passes it says so, and there must be time left to hear it.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);

/// A host that drops packets is given up sooner than a server that thinks.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A connection that has been idle for so long is not used again. The server closes one after 10 seconds, and a request
/// that meets the close on its way would be lost.
const IDLE: Duration = Duration::from_secs(5);

/// The longest answer of Identity, in bytes: a list of accounts.
pub(crate) const MOST_OF_IDENTITY: usize = 8 << 20;

/// The longest answer of a Backend, in bytes: a thousand grants, each with the longest parameters.
pub(crate) const MOST_OF_BACKEND: usize = 300 << 20;

/// Connections of their own. Redirects are not followed, so that a token goes to nobody else, and proxies are not looked
/// for in the environment.
///
/// The platform's authorities are read only where they are needed: a small container has none, and could not even speak
/// plain HTTP.
pub(crate) fn connections(ca: Option<&[u8]>, is_https: bool) -> Result<reqwest::Client, ClientError> {
    let broken = |error| ClientError::BadTls(Arc::new(error));
    let connections = reqwest::Client::builder()
        .user_agent(concat!("tasker/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_LIMIT)
        .timeout(LIMIT)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .redirect(Policy::none())
        .no_proxy();
    let connections = match ca {
        Some(pem) => match Certificate::from_pem_bundle(pem).map_err(broken)? {
            none if none.is_empty() => return Err(ClientError::NoAuthority),
            authorities => connections.tls_certs_only(authorities),
        },
        None if is_https => connections,
        None => connections.tls_certs_only([]),
    };
    connections.build().map_err(broken)
}

/// `address` as a base for paths; what it has of a path of its own is kept.
pub(crate) fn base(address: &str) -> Result<Url, ClientError> {
    match Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(ClientError::BadAddress { address: address.to_owned() }),
    }
}

/// Whether `address` is asked over TLS.
pub(crate) fn is_https(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https")
}

/// `path` below `base`.
pub(crate) fn below(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(path);
    url
}

/// An answer of any status.
pub(crate) struct Answer {
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends a request and takes its answer whole, if it has no more than `most` bytes.
pub(crate) async fn exchange(request: RequestBuilder, most: usize) -> Result<Answer, ClientError> {
    let mut response = request.send().await.map_err(unreachable)?;
    let (url, status, headers) = (response.url().clone(), response.status(), response.headers().clone());
    let mut answer = Answer { url, status, headers, body: Vec::new() };
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if answer.body.len() + chunk.len() > most {
            return Err(answer.unexpected(None));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// An error as Identity writes it.
#[derive(Deserialize)]
struct TokenError {
    error: String,
    error_description: Option<String>,
}

impl Answer {
    /// A header, if it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A yes of the Backend, or its problem.
    pub(crate) fn or_problem(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let media_type = self.header(&CONTENT_TYPE);
        if media_type.is_some_and(|found| found.starts_with(Problem::MEDIA_TYPE))
            && let Ok(problem) = serde_json::from_slice(&self.body)
        {
            return Err(ClientError::Refused { problem: Box::new(problem), retry_after: self.retry_after() });
        }
        Err(self.unexpected(None))
    }

    /// A yes of Identity, or its error.
    pub(crate) fn or_token_error(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        match serde_json::from_slice(&self.body) {
            Ok(TokenError { error, error_description }) => Err(ClientError::Token {
                error,
                description: error_description,
                status: self.status.as_u16(),
                retry_after: self.retry_after(),
            }),
            Err(_) => Err(self.unexpected(None)),
        }
    }

    /// The body as a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unexpected(Some(error)))
    }

    fn unexpected(&self, error: Option<serde_json::Error>) -> ClientError {
        ClientError::Unexpected {
            url: self.url.to_string(),
            status: self.status.as_u16(),
            retry_after: self.retry_after(),
            source: error.map(Arc::new),
        }
    }

    /// `Retry-After` in seconds; its other form, a date, needs a clock that we do not trust.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header(&RETRY_AFTER)?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

fn unreachable(error: reqwest::Error) -> ClientError {
    let url = error.url().map(ToString::to_string).unwrap_or_default();
    match refusal(&error) {
        Some(refusal) => ClientError::Untrusted { url, source: refusal.clone() },
        None => ClientError::Unreachable { url, source: Arc::new(error.without_url()) },
    }
}

/// Why the server's certificate was refused, if that is behind `error`. An `io::Error` calls what it holds its own text
/// and not its cause, so it is looked into.
fn refusal<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(refusal @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return Some(refusal);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => refusal(held),
        None => refusal(error.source()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_below_the_base() {
        let at = |address, path: &[&str]| below(&base(address).unwrap(), path).to_string();
        assert_eq!(at("http://host:8080", &["api", "Task", ""]), "http://host:8080/api/Task/");
        assert_eq!(at("https://host/tasker/", &["api", "a/b"]), "https://host/tasker/api/a%2Fb");
    }

    #[test]
    fn an_address_is_http() {
        for bad in ["localhost:8080", "ftp://host", "", "http://"] {
            assert!(matches!(base(bad), Err(ClientError::BadAddress { .. })), "{bad}");
        }
    }
}
