//! Identity over HTTP, as the issuer of tokens: its discovery document and the documents that the discovery document names.

use std::time::Duration;

use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The time limit of an HTTP request to Identity.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an idle connection stays in the pool. Identity closes one after 10 seconds, and a request that is sent at that moment
/// would be lost.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("Identity does not answer")]
    Http(#[from] reqwest::Error),
    #[error("the server at Identity's address is not Identity: it sends more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("the server at Identity's address is not Identity")]
    Unreadable(#[from] serde_json::Error),
    #[error("Identity publishes no list of revoked tokens")]
    NoRevocations,
    #[error("Identity at {expected} has the issuer {found}")]
    Issuer { expected: String, found: String },
}

/// The members of the discovery document (RFC 8414, section 2) that matter here.
#[derive(Deserialize)]
pub(crate) struct Addresses {
    issuer: String,
    /// Where the signing keys are.
    pub(crate) jwks_uri: String,
    /// Where the list of revoked tokens is.
    pub(crate) tasker_revocations_uri: Option<String>,
}

/// A document that is fetched again and again.
pub(crate) enum Fetched<T> {
    /// It is still the one with the tag that was sent.
    Unchanged,
    /// Another one, and its tag.
    Changed(T, Option<HeaderValue>),
}

/// The issuer of tokens.
#[derive(Debug)]
pub(crate) struct Issuer {
    url: String,
    http: Client,
}

impl Issuer {
    /// The issuer at `url`, whose certificate must be issued by an authority in `ca` (PEM), or without it by one of the
    /// platform. Fails if `ca` is not valid. Nothing is fetched yet.
    pub(crate) fn new(url: String, ca: Option<&[u8]>) -> Result<Self, reqwest::Error> {
        let http = http_client(&url, ca)?;
        Ok(Self { url, http })
    }

    /// The URL, as the tokens must name it (`iss`).
    pub(crate) fn identifier(&self) -> &str {
        &self.url
    }

    /// The addresses in the discovery document, which must name this issuer.
    pub(crate) async fn discover(&self) -> Result<Addresses, FetchError> {
        let address = format!("{}/.well-known/openid-configuration", self.url);
        let addresses: Addresses = self.download(&address).await?;
        if addresses.issuer != self.url {
            return Err(FetchError::Issuer { expected: self.url.clone(), found: addresses.issuer });
        }
        Ok(addresses)
    }

    /// The JSON document at `address`.
    pub(crate) async fn download<T: DeserializeOwned>(&self, address: &str) -> Result<T, FetchError> {
        read(self.http.get(address).send().await?.error_for_status()?).await
    }

    /// The JSON document at `address`, unless it still has the `tag` (RFC 9110, section 13.1.2).
    pub(crate) async fn download_if_changed<T: DeserializeOwned>(
        &self,
        address: &str,
        tag: Option<&HeaderValue>,
    ) -> Result<Fetched<T>, FetchError> {
        let request = self.http.get(address);
        let request = tag.iter().fold(request, |request, tag| request.header(IF_NONE_MATCH, *tag));
        let response = request.send().await?.error_for_status()?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Fetched::Unchanged);
        }
        let tag = response.headers().get(ETAG).cloned();
        Ok(Fetched::Changed(read(response).await?, tag))
    }
}

async fn read<T: DeserializeOwned>(mut response: Response) -> Result<T, FetchError> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(FetchError::TooLong);
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// A client that reaches Identity exactly where the settings say: through no proxy and no redirect, and an `https` issuer
/// over TLS only, even if its discovery document says otherwise.
fn http_client(issuer: &str, ca: Option<&[u8]>) -> reqwest::Result<Client> {
    let is_https = issuer.starts_with("https:");
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(REQUEST_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .https_only(is_https);
    match ca {
        Some(pem) => client.tls_certs_only(Certificate::from_pem_bundle(pem)?),
        None if is_https => client,
        // A minimal container has no certificate authorities, and plain HTTP needs none.
        None => client.tls_certs_only([]),
    }
    .build()
}
