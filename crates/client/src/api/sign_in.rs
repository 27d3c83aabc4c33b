//! Signing in as a person at any provider of OpenID Connect: with a code from a browser (RFC 6749, section 4.1; RFC 7636), or with a code that is
//! confirmed on another device (RFC 8628); refreshing and ending the sign-in.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::api::identity_client::{AccessToken, IdentityClient};
use crate::error::ClientError;
use crate::token_source::TokenResponse;
use crate::transport::{self, MAX_IDENTITY_RESPONSE_BYTES, Response};

/// The grant type of devices.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The pause between two requests of a device if the provider names none (RFC 8628, section 3.2).
const DEFAULT_INTERVAL_SECONDS: u64 = 5;

/// Where a provider does what, as it says itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Clone, Deserialize)]
pub struct Provider {
    /// The `iss` of its tokens.
    pub issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: String,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A sign-in that goes on in a browser.
pub struct BrowserSignIn {
    /// The address that the person opens.
    pub address: Url,
    client: String,
    redirect_uri: String,
    state: String,
    verifier: SecretString,
}

/// What the browser brings back.
#[derive(Debug, Default, Deserialize)]
pub struct BrowserAnswer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Why an answer of the browser is no sign-in.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrowserRefusal {
    /// It belongs to another sign-in, or was made up by a page.
    #[error("the answer of the browser does not belong to this sign-in")]
    Foreign,
    /// The provider or the person has refused.
    #[error("the sign-in was refused: {0}")]
    Refused(String),
}

/// What a device shows, and asks with.
#[derive(Deserialize)]
pub struct DeviceCodes {
    device_code: SecretString,
    /// What the person types.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// The same with the code in it, if the provider has one.
    pub verification_uri_complete: Option<String>,
    /// How long the codes are valid, in seconds.
    pub expires_in: u64,
    interval: Option<u64>,
}

impl Provider {
    /// Begins a sign-in of `client` in a browser, which is sent back to `redirect_uri`. `None` if the provider has no such sign-in.
    pub fn in_browser(&self, client: &str, redirect_uri: &str, scope: &str) -> Option<BrowserSignIn> {
        let (state, verifier) = (random_text(), random_text());
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        let mut address: Url = self.authorization_endpoint.as_ref()?.parse().ok()?;
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", scope)
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        let (client, redirect_uri) = (client.to_owned(), redirect_uri.to_owned());
        Some(BrowserSignIn { address, client, redirect_uri, state, verifier: verifier.into() })
    }
}

impl BrowserSignIn {
    /// The code of an answer of this sign-in. The issuer must be named if the `provider` says that it names itself (RFC 9207).
    pub fn code_of(
        &self,
        provider: &Provider,
        answer: BrowserAnswer,
    ) -> Result<SecretString, BrowserRefusal> {
        let must_name = provider.authorization_response_iss_parameter_supported;
        let is_issuer = match &answer.iss {
            Some(issuer) => *issuer == provider.issuer,
            None => !must_name,
        };
        if answer.state.as_deref() != Some(&self.state) || !is_issuer {
            return Err(BrowserRefusal::Foreign);
        }
        match (answer.code, answer.error) {
            (Some(code), None) => Ok(code.into()),
            (_, error) => {
                let description =
                    answer.error_description.map(|text| format!(", {text}")).unwrap_or_default();
                Err(BrowserRefusal::Refused(error.unwrap_or_default() + &description))
            }
        }
    }
}

impl fmt::Debug for BrowserSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrowserSignIn").field("client", &self.client).finish_non_exhaustive()
    }
}

impl fmt::Debug for DeviceCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCodes")
            .field("verification_uri", &self.verification_uri)
            .finish_non_exhaustive()
    }
}

impl DeviceCodes {
    /// The pause before each request of the device.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval.unwrap_or(DEFAULT_INTERVAL_SECONDS))
    }
}

impl IdentityClient {
    /// Asks the provider where it does what.
    pub async fn provider(&self) -> Result<Provider, ClientError> {
        self.discovery().await
    }

    /// Exchanges the code of a sign-in in a browser.
    pub async fn redeem(
        &self,
        provider: &Provider,
        sign_in: &BrowserSignIn,
        code: &SecretString,
    ) -> Result<AccessToken, ClientError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &sign_in.client),
            ("redirect_uri", &sign_in.redirect_uri),
            ("code", code.expose_secret()),
            ("code_verifier", sign_in.verifier.expose_secret()),
        ];
        self.request_token(provider, &form).await
    }

    /// Exchanges a refresh token, which is used up by it: the answer has the next one.
    pub async fn refresh(
        &self,
        provider: &Provider,
        client: &str,
        refresh_token: &SecretString,
    ) -> Result<AccessToken, ClientError> {
        let token = refresh_token.expose_secret();
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.request_token(provider, &form).await
    }

    /// Begins a sign-in on another device. `None` if the provider has no such sign-in.
    pub async fn begin_device(
        &self,
        provider: &Provider,
        client: &str,
        scope: &str,
    ) -> Result<Option<DeviceCodes>, ClientError> {
        let Some(endpoint) = provider.device_authorization_endpoint.clone() else { return Ok(None) };
        let request = self.http.post(endpoint).form(&[("client_id", client), ("scope", scope)]);
        let response = transport::send(request, MAX_IDENTITY_RESPONSE_BYTES).await;
        response.and_then(Response::or_token_error)?.read().map(Some)
    }

    /// Asks until the person has decided, with a pause before each request, which grows if the provider says so.
    pub async fn await_device(
        &self,
        provider: &Provider,
        client: &str,
        codes: &DeviceCodes,
    ) -> Result<AccessToken, ClientError> {
        let mut interval = codes.interval();
        let device_code = codes.device_code.expose_secret();
        let form = [("grant_type", DEVICE_GRANT), ("client_id", client), ("device_code", device_code)];
        loop {
            tokio::time::sleep(interval).await;
            match self.request_token(provider, &form).await {
                Err(ClientError::Token { error, .. }) if error == "authorization_pending" => {}
                Err(ClientError::Token { error, .. }) if error == "slow_down" => {
                    interval += Duration::from_secs(DEFAULT_INTERVAL_SECONDS);
                }
                Err(error) if error.is_temporary() => {}
                decided => return decided,
            }
        }
    }

    /// Ends a refresh token, and with it its access tokens. `false` if the provider cannot.
    pub async fn revoke(
        &self,
        provider: &Provider,
        client: &str,
        refresh_token: &SecretString,
    ) -> Result<bool, ClientError> {
        let Some(endpoint) = provider.revocation_endpoint.clone() else { return Ok(false) };
        let request = self.http.post(endpoint);
        let request = request.form(&[("client_id", client), ("token", refresh_token.expose_secret())]);
        let response = transport::send(request, MAX_IDENTITY_RESPONSE_BYTES).await;
        response.and_then(Response::or_token_error).map(|_| true)
    }

    async fn request_token(
        &self,
        provider: &Provider,
        form: &[(&str, &str)],
    ) -> Result<AccessToken, ClientError> {
        let request = self.http.post(&provider.token_endpoint).form(form);
        let response = transport::send(request, MAX_IDENTITY_RESPONSE_BYTES).await;
        let token: TokenResponse = response.and_then(Response::or_token_error)?.read()?;
        Ok(AccessToken::from(token))
    }
}

/// 256 random bits as base64url.
fn random_text() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the system has random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(names_itself: bool) -> Provider {
        Provider {
            issuer: "https://id".to_owned(),
            authorization_endpoint: Some("https://id/authorize?tenant=1".to_owned()),
            token_endpoint: "https://id/token".to_owned(),
            device_authorization_endpoint: None,
            revocation_endpoint: None,
            authorization_response_iss_parameter_supported: names_itself,
        }
    }

    fn answer(state: &str, iss: Option<&str>) -> BrowserAnswer {
        BrowserAnswer {
            code: Some("c".to_owned()),
            state: Some(state.to_owned()),
            iss: iss.map(str::to_owned),
            ..BrowserAnswer::default()
        }
    }

    #[test]
    fn an_answer_must_have_the_state_and_the_issuer_of_its_sign_in() {
        let provider = provider(true);
        let sign_in = provider.in_browser("cli", "http://127.0.0.1:1/callback", "openid").unwrap();
        let code = |answer| sign_in.code_of(&provider, answer).map(|code| code.expose_secret().to_owned());
        let state = &sign_in.state;
        assert_eq!(code(answer(state, Some("https://id"))), Ok("c".to_owned()));
        for foreign in
            [answer("x", Some("https://id")), answer(state, Some("https://evil")), answer(state, None)]
        {
            assert_eq!(code(foreign), Err(BrowserRefusal::Foreign));
        }
        let mut refused = answer(state, Some("https://id"));
        (refused.code, refused.error) = (None, Some("access_denied".to_owned()));
        assert_eq!(code(refused), Err(BrowserRefusal::Refused("access_denied".to_owned())));
        let silent = self::provider(false);
        assert!(sign_in.code_of(&silent, answer(state, None)).is_ok(), "not every provider names itself");
    }

    #[test]
    fn every_sign_in_has_a_state_and_a_challenge_of_its_own() {
        let provider = provider(true);
        let begin = || provider.in_browser("cli", "http://127.0.0.1:1/callback", "openid").unwrap();
        let (first, second) = (begin(), begin());
        assert!(
            first
                .address
                .as_str()
                .starts_with("https://id/authorize?tenant=1&response_type=code&client_id=cli&")
        );
        assert!(first.state != second.state && first.address != second.address);
        assert!(!format!("{first:?}").contains(first.verifier.expose_secret()));
    }
}
