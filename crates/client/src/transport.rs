//! One HTTP exchange: connections, timeouts, and the kinds of response.

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
use crate::localhost_resolver::LocalhostResolver;

/// Timeout of a request, beyond the time that it asks the server to wait. It exceeds the server's own timeout of 10 seconds, so
/// that the server's response about that still arrives.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Timeout of connecting: a host that drops packets is given up sooner than a busy server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection stays in the pool. The server closes one after 10 seconds, and a request that is sent at that
/// moment would be lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest response of Identity, in bytes: a list of accounts.
pub(crate) const MAX_IDENTITY_RESPONSE_BYTES: usize = 8 << 20;

/// The largest response of a Backend, in bytes: a thousand grants, each with the largest parameters.
pub(crate) const MAX_BACKEND_RESPONSE_BYTES: usize = 300 << 20;

/// Creates an HTTP client with a connection pool of its own. Redirects are not followed, so that no other server receives the
/// token, and the proxy variables of the environment are ignored.
///
/// The platform's certificate authorities are loaded for `is_https` only: a small container has none, and loading them would
/// then fail for plain HTTP, too.
pub(crate) fn http_client(ca: Option<&[u8]>, is_https: bool) -> Result<reqwest::Client, ClientError> {
    let builder = client_builder();
    let builder = match ca {
        Some(pem) => match Certificate::from_pem_bundle(pem).map_err(tls_error)? {
            none if none.is_empty() => return Err(ClientError::NoAuthority),
            authorities => builder.tls_certs_only(authorities),
        },
        None if is_https => builder,
        None => builder.tls_certs_only([]),
    };
    builder.build().map_err(tls_error)
}

/// Creates an HTTP client for a listener of this machine, whose certificate it does not verify.
pub(crate) fn own_listener_client() -> Result<reqwest::Client, ClientError> {
    client_builder().tls_danger_accept_invalid_certs(true).tls_certs_only([]).build().map_err(tls_error)
}

fn client_builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("tasker/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(REQUEST_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .redirect(Policy::none())
        .no_proxy()
        .dns_resolver(LocalhostResolver)
}

fn tls_error(error: reqwest::Error) -> ClientError {
    ClientError::BadTls(Arc::new(error))
}

/// Parses `address` as a base URL; a path in it is preserved.
pub(crate) fn base_url(address: &str) -> Result<Url, ClientError> {
    match Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(ClientError::BadAddress { address: address.to_owned() }),
    }
}

/// Whether `address` is an HTTPS URL.
pub(crate) fn is_https(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https")
}

/// Appends the segments of `path` to `base`.
pub(crate) fn join_path(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut().expect("an HTTP URL has a path").pop_if_empty().extend(path);
    url
}

/// A complete response, of any status.
pub(crate) struct Response {
    url: Url,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends a request and reads the complete response. Fails if its body exceeds `max_bytes`.
pub(crate) async fn send(request: RequestBuilder, max_bytes: usize) -> Result<Response, ClientError> {
    let response = request.send().await.map_err(connection_error)?;
    read(response, max_bytes).await
}

/// Sends a request and returns the response as soon as its head has arrived. Fails with the problem of an error response.
pub(crate) async fn open(request: RequestBuilder) -> Result<reqwest::Response, ClientError> {
    let response = request.send().await.map_err(connection_error)?;
    if response.status() == StatusCode::OK {
        return Ok(response);
    }
    let complete = read(response, MAX_BACKEND_RESPONSE_BYTES).await?.or_problem()?;
    Err(complete.unexpected(None))
}

/// Reads the complete response.
async fn read(mut response: reqwest::Response, max_bytes: usize) -> Result<Response, ClientError> {
    let (url, status, headers) = (response.url().clone(), response.status(), response.headers().clone());
    let mut complete = Response { url, status, headers, body: Vec::new() };
    while let Some(chunk) =
        response.chunk().await.map_err(|error| connection_error(error.with_url(complete.url.clone())))?
    {
        if complete.body.len() + chunk.len() > max_bytes {
            return Err(complete.unexpected(None));
        }
        complete.body.extend_from_slice(&chunk);
    }
    Ok(complete)
}

/// The body of an OAuth error response (RFC 6749, 5.2).
#[derive(Deserialize)]
struct TokenError {
    error: String,
    error_description: Option<String>,
}

impl Response {
    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Fails with the problem (RFC 9457) of an error response.
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

    /// Fails with the OAuth error of an error response, or with a problem document, which Identity's HTTP
    /// layers send before the token endpoint is reached.
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
            Err(_) => self.or_problem(),
        }
    }

    /// Decodes the JSON body.
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

    /// `Retry-After` in seconds. Its form as a date is ignored, since the clocks may differ.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header(&RETRY_AFTER)?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

pub(crate) fn connection_error(error: reqwest::Error) -> ClientError {
    let url = error.url().map(ToString::to_string).unwrap_or_default();
    match certificate_error(&error) {
        Some(cause) => ClientError::Untrusted { url, source: cause.clone() },
        None => ClientError::Unreachable { url, source: Arc::new(error.without_url()) },
    }
}

/// The certificate error among the causes of `error`. An `io::Error` does not return its inner error as its source, so that is
/// examined separately.
fn certificate_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(invalid @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return Some(invalid);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => certificate_error(inner),
        None => certificate_error(error.source()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_appended_to_the_base_url() {
        let at = |address, path: &[&str]| join_path(&base_url(address).unwrap(), path).to_string();
        assert_eq!(at("http://host:8080", &["api", "Task", ""]), "http://host:8080/api/Task/");
        assert_eq!(at("https://host/tasker/", &["api", "a/b"]), "https://host/tasker/api/a%2Fb");
    }

    #[test]
    fn an_address_must_be_an_http_url() {
        for bad in ["localhost:8080", "ftp://host", "", "http://"] {
            assert!(matches!(base_url(bad), Err(ClientError::BadAddress { .. })), "{bad}");
        }
    }
}
