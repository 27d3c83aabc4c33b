//! The user's calls at Identity: sign in, and read the account of a token.

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::token_source::{self, TokenResponse};
use crate::transport::{self, MAX_IDENTITY_RESPONSE_BYTES, Response};

/// A client of one Identity, for users.
#[derive(Debug, Clone)]
pub struct IdentityClient {
    address: Url,
    pub(crate) http: reqwest::Client,
}

/// An access token and its lifetime.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// The token itself.
    pub token: SecretString,
    /// How long the token is valid, from the moment it was requested.
    pub lifetime: Duration,
    /// What the next token is requested with, if there is one.
    pub refresh_token: Option<SecretString>,
}

impl From<TokenResponse> for AccessToken {
    fn from(response: TokenResponse) -> Self {
        let lifetime = response.lifetime();
        Self { token: response.access_token, lifetime, refresh_token: response.refresh_token }
    }
}

impl AccessToken {
    /// The lifetime in microseconds.
    pub fn lifetime_micros(&self) -> i64 {
        i64::try_from(self.lifetime.as_micros()).unwrap_or(i64::MAX)
    }
}

/// The account of a token (OpenID Connect Core 1.0, 5.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// The account's id.
    pub sub: String,
    /// The account's name.
    pub name: String,
    /// The account's roles.
    pub roles: Vec<String>,
}

impl IdentityClient {
    /// The Identity at `address`; nothing is sent yet. `ca` as in [`crate::client::Settings`]. Fails if the address is invalid
    /// or TLS cannot be set up.
    pub fn new(address: &str, ca: Option<&[u8]>) -> Result<Self, ClientError> {
        Ok(Self {
            address: transport::base_url(address)?,
            http: transport::http_client(ca, transport::is_https(address))?,
        })
    }

    /// Requests a token by the password grant (RFC 6749, 4.3).
    pub async fn sign_in(&self, username: &str, password: &SecretString) -> Result<AccessToken, ClientError> {
        let form = token_source::password_grant_form(username.into(), password.clone());
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let request = self.http.post(self.url_of(&token_source::TOKEN_ENDPOINT)).form(&form);
        let token: TokenResponse = transport::send(request, MAX_IDENTITY_RESPONSE_BYTES)
            .await
            .and_then(Response::or_token_error)?
            .read()?;
        Ok(AccessToken::from(token))
    }

    /// The issuer that Identity writes into its tokens (OpenID Connect Discovery 1.0, 3).
    pub async fn issuer(&self) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
        }
        self.discovery().await.map(|Discovery { issuer }| issuer)
    }

    /// What Identity says of itself (OpenID Connect Discovery 1.0, 4).
    pub(super) async fn discovery<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        let url = self.url_of(&[".well-known", "openid-configuration"]);
        let response = transport::send(self.http.get(url), MAX_IDENTITY_RESPONSE_BYTES).await;
        response.and_then(Response::or_token_error)?.read()
    }

    /// The account of `token`; fails if the token is no longer valid.
    pub async fn user_info(&self, token: &SecretString) -> Result<UserInfo, ClientError> {
        let request = self.http.get(self.url_of(&["connect", "userinfo"]));
        transport::send(request.bearer_auth(token.expose_secret()), MAX_IDENTITY_RESPONSE_BYTES)
            .await
            .and_then(Response::or_problem)?
            .read()
    }

    /// The URL of `path` at this Identity.
    pub(crate) fn url_of(&self, path: &[&str]) -> Url {
        transport::join_path(&self.address, path)
    }
}
