//! The client of an installation: the addresses of its Backends, the credentials, and one retry with a new token.

use std::fmt;
use std::sync::Arc;

use domain::{InstallationId, Problem};
use reqwest::{Method, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::backends::Backends;
use crate::error::ClientError;
use crate::token_source::{Credentials, TokenSource};
use crate::transport::{self, MAX_BACKEND_RESPONSE_BYTES, Response};

/// The header by which a request says for which installation it is.
const INSTALLATION_HEADER: &str = "Tasker-Installation";

/// The servers and the credentials of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The addresses of one or more Backends of one installation, each as `http://host:port`. The first is used until it is gone,
    /// then the next until that is gone, and after the last the first again.
    pub backends: Vec<String>,
    /// The credentials by which access tokens are issued.
    pub credentials: Credentials,
    /// The only certificate authorities to trust, as PEM. `None`: those of the platform.
    pub ca: Option<Vec<u8>>,
}

/// A client of one installation. Clones share connections and access token.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    backends: Arc<Backends>,
    http: reqwest::Client,
    token_source: TokenSource,
}

impl Client {
    /// Creates a client; nothing is sent before the first call. Fails if an address is missing or invalid or TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let backends = Arc::new(Backends::new(&settings.backends)?);
        Self::with_backends(settings, backends)
    }

    fn with_backends(settings: Settings, backends: Arc<Backends>) -> Result<Self, ClientError> {
        let addresses = settings.backends.iter().map(String::as_str);
        let is_https = addresses.chain(settings.credentials.identity()).any(transport::is_https);
        let http = transport::http_client(settings.ca.as_deref(), is_https)?;
        let token_source = TokenSource::new(http.clone(), settings.credentials.clone())?;
        Ok(Self { inner: Arc::new(Inner { settings, backends, http, token_source }) })
    }

    /// Creates a client with the same settings that shares neither connections nor token with this one, for another runtime,
    /// since connections belong to the runtime that opened them. Its requests do not wait for this client's renewal of the token.
    /// Both use the same Backend: if it is gone for one, the other goes on at the next, too. Fails as [`Client::new`].
    pub fn with_own_connections(&self) -> Result<Self, ClientError> {
        Self::with_backends(self.inner.settings.clone(), Arc::clone(&self.inner.backends))
    }

    /// The address of the Backend that is used.
    pub fn current_backend(&self) -> &str {
        self.inner.backends.current().as_str().trim_end_matches('/')
    }

    /// Says to which installation the Backends must belong, if there are several: from now on each request names it, and a Backend
    /// of another one refuses the request.
    pub(crate) fn set_installation(&self, installation: InstallationId) {
        self.inner.backends.set_installation(installation);
    }

    /// A request to `path` of the Backend.
    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.request_to(method, transport::join_path(self.inner.backends.current(), path))
    }

    /// A GET request with a query.
    pub(crate) fn request_with_query(
        &self,
        path: &[&str],
        query: impl IntoIterator<Item = (&'static str, String)>,
    ) -> RequestBuilder {
        let mut url = transport::join_path(self.inner.backends.current(), path);
        url.query_pairs_mut().extend_pairs(query);
        self.request_to(Method::GET, url)
    }

    fn request_to(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.inner.http.request(method, url);
        match self.inner.backends.installation() {
            Some(installation) => request.header(INSTALLATION_HEADER, installation.to_string()),
            None => request,
        }
    }

    /// Sends a request with the access token, and once more with a new one if the token was refused. If the Backend is gone, the
    /// next request is for another, if there is one.
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
        let url = self.inner.backends.are_several().then(|| url_of(&request)).flatten();
        let token = self.inner.token_source.token().await?;
        let result = self.send_as(&token, request, send).await;
        if let Some(url) = url {
            self.inner.backends.record(&url, &result);
        }
        result
    }

    async fn send_as<T>(
        &self,
        token: &SecretString,
        request: RequestBuilder,
        send: impl AsyncFn(RequestBuilder) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let retry = request.try_clone().expect("a body in memory can be cloned");
        match send(request.bearer_auth(token.expose_secret())).await {
            Err(error) if error.problem().is_some_and(is_unauthorized) => {
                match self.inner.token_source.replace(token).await? {
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

fn url_of(request: &RequestBuilder) -> Option<Url> {
    Some(request.try_clone()?.build().ok()?.url().clone())
}

fn is_unauthorized(problem: &Problem) -> bool {
    problem.status == 401
}
