//! The client of a Backend: its address, the credentials, and one retry with a new token.

use std::fmt;
use std::sync::Arc;

use domain::Problem;
use reqwest::{Method, RequestBuilder, Url};
use secrecy::ExposeSecret;

use crate::error::ClientError;
use crate::token_source::{Credentials, TokenSource};
use crate::transport::{self, MAX_BACKEND_RESPONSE_BYTES, Response};

/// The server and the credentials of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Backend's address, as `http://host:port`.
    pub backend: String,
    /// The credentials by which access tokens are issued.
    pub credentials: Credentials,
    /// The only certificate authorities to trust, as PEM. `None`: those of the platform.
    pub ca: Option<Vec<u8>>,
}

/// A client of one Backend. Clones share connections and access token.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    backend: Url,
    http: reqwest::Client,
    token_source: TokenSource,
}

impl Client {
    /// Creates a client; nothing is sent before the first call. Fails if an address is invalid or TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let backend = transport::base_url(&settings.backend)?;
        let is_https = [Some(&*settings.backend), settings.credentials.identity()];
        let is_https = is_https.into_iter().flatten().any(transport::is_https);
        let http = transport::http_client(settings.ca.as_deref(), is_https)?;
        let token_source = TokenSource::new(http.clone(), settings.credentials.clone())?;
        Ok(Self { inner: Arc::new(Inner { settings, backend, http, token_source }) })
    }

    /// Creates a client with the same settings that shares neither connections nor token with this one, for another runtime,
    /// since connections belong to the runtime that opened them. Its requests do not wait for this client's renewal of the token.
    /// Fails as [`Client::new`].
    pub fn with_own_connections(&self) -> Result<Self, ClientError> {
        Self::new(self.inner.settings.clone())
    }

    /// A request to `path` of the Backend.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.inner.http.request(method, transport::join_path(&self.inner.backend, path))
    }

    /// A GET request with a query.
    pub(crate) fn get_with_query(
        &self,
        path: &[&str],
        query: impl IntoIterator<Item = (&'static str, String)>,
    ) -> RequestBuilder {
        let mut url = transport::join_path(&self.inner.backend, path);
        url.query_pairs_mut().extend_pairs(query);
        self.inner.http.get(url)
    }

    /// Sends a request with the access token, and once more with a new one if the token was refused.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let send = async |request| transport::send(request, MAX_BACKEND_RESPONSE_BYTES).await?.or_problem();
        self.send_with(request, send).await
    }

    /// The same with `send`, which fails with the problem of an error response.
    pub(crate) async fn send_with<T>(
        &self,
        request: RequestBuilder,
        send: impl AsyncFn(RequestBuilder) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let retry = request.try_clone().expect("a body in memory can be cloned");
        let token = self.inner.token_source.token().await?;
        match send(request.bearer_auth(token.expose_secret())).await {
            Err(error) if error.problem().is_some_and(is_unauthorized) => {
                match self.inner.token_source.replace(&token).await? {
                    Some(new) => send(retry.bearer_auth(new.expose_secret())).await,
                    None => Err(error),
                }
            }
            result => result,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

fn is_unauthorized(problem: &Problem) -> bool {
    problem.status == 401
}
