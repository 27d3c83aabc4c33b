//! What a person asks Identity for: a token to keep, and whose it is.

use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::error::ClientError;
use crate::token_source::{self, Issued};
use crate::transport::{self, Answer, MOST_OF_IDENTITY};

/// An Identity as a person's program sees it.
#[derive(Debug, Clone)]
pub struct Identity {
    address: Url,
    pub(crate) http: reqwest::Client,
}

/// A token and how long it lasts.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The access token.
    pub token: SecretString,
    /// How long it counts, from the moment at which it was asked for.
    pub life: Duration,
}

/// Whose a token is (OpenID Connect Core 5.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// The account's id.
    pub sub: String,
    /// The account's name.
    pub name: String,
    /// What it may do.
    pub roles: Vec<String>,
}

impl Identity {
    /// The Identity at `address`; nothing is sent yet. `ca` as in [`crate::Settings`].
    pub fn at(address: &str, ca: Option<&[u8]>) -> Result<Self, ClientError> {
        Ok(Self {
            address: transport::base(address)?,
            http: transport::connections(ca, transport::is_https(address))?,
        })
    }

    /// A token for a name and its password (RFC 6749, 4.3).
    pub async fn sign_in(&self, username: &str, password: &SecretString) -> Result<SignedIn, ClientError> {
        let form = token_source::by_password(username.into(), password.clone());
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let request = self.http.post(self.below(&token_source::ENDPOINT)).form(&form);
        let issued: Issued =
            transport::exchange(request, MOST_OF_IDENTITY).await.and_then(Answer::or_token_error)?.read()?;
        Ok(SignedIn { life: issued.life(), token: issued.access_token })
    }

    /// What Identity calls itself in the tokens that it gives (OpenID Connect Discovery 1.0, 3).
    pub async fn issuer(&self) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
        }
        let url = self.below(&[".well-known", "openid-configuration"]);
        let found = transport::exchange(self.http.get(url), MOST_OF_IDENTITY)
            .await
            .and_then(Answer::or_token_error)?;
        found.read().map(|Discovery { issuer }| issuer)
    }

    /// Whose `token` is, if it still counts.
    pub async fn who(&self, token: &SecretString) -> Result<UserInfo, ClientError> {
        let request = self.http.get(self.below(&["connect", "userinfo"]));
        transport::exchange(request.bearer_auth(token.expose_secret()), MOST_OF_IDENTITY)
            .await
            .and_then(Answer::or_token_error)?
            .read()
    }

    /// `path` of this Identity.
    pub(crate) fn below(&self, path: &[&str]) -> Url {
        transport::below(&self.address, path)
    }
}
