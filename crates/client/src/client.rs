//! The client: where the Backend is, who asks, and one retry with a fresh token.

use secrecy::ExposeSecret;
use std::fmt;
use std::sync::Arc;

use domain::Problem;
use reqwest::{Method, RequestBuilder, Url};

use crate::error::ClientError;
use crate::token_source::{Credentials, Tokens};
use crate::transport::{self, Answer, MOST_OF_BACKEND};

/// Whom a client talks to, and as whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Backend's address.
    pub backend: String,
    /// As whom.
    pub credentials: Credentials,
    /// The authorities whose certificates count, as PEM, and no others; without it those of the platform.
    pub ca: Option<Vec<u8>>,
}

/// A Backend as a program sees it. Clones share connections and token.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    backend: Url,
    http: reqwest::Client,
    tokens: Tokens,
}

impl Client {
    /// A client; nothing is sent before the first verb.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let backend = transport::base(&settings.backend)?;
        let is_https = [Some(&*settings.backend), settings.credentials.identity()];
        let is_https = is_https.into_iter().flatten().any(transport::is_https);
        let http = transport::connections(settings.ca.as_deref(), is_https)?;
        let tokens = Tokens::new(http.clone(), settings.credentials.clone())?;
        Ok(Self { inner: Arc::new(Inner { settings, backend, http, tokens }) })
    }

    /// A client with the same settings that shares nothing with this one: connections belong to the runtime that opened
    /// them, and whoever must not wait for others has its own token too.
    pub fn with_own_connections(&self) -> Result<Self, ClientError> {
        Self::new(self.inner.settings.clone())
    }

    pub(crate) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.inner.http.request(method, transport::below(&self.inner.backend, path))
    }

    /// A GET with a query.
    pub(crate) fn question(
        &self,
        path: &[&str],
        query: impl IntoIterator<Item = (&'static str, String)>,
    ) -> RequestBuilder {
        let mut url = transport::below(&self.inner.backend, path);
        url.query_pairs_mut().extend_pairs(query);
        self.inner.http.get(url)
    }

    /// Sends a request with the token, and once more with a fresh one if the token was refused.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        let again = request.try_clone().expect("our bodies are kept in memory");
        let token = self.inner.tokens.token().await?;
        match transport::exchange(request.bearer_auth(token.expose_secret()), MOST_OF_BACKEND)
            .await?
            .or_problem()
        {
            Err(error) if error.problem().is_some_and(is_unauthorized) => {
                match self.inner.tokens.instead_of(&token).await? {
                    Some(fresh) => {
                        transport::exchange(again.bearer_auth(fresh.expose_secret()), MOST_OF_BACKEND)
                            .await?
                            .or_problem()
                    }
                    None => Err(error),
                }
            }
            answer => answer,
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
