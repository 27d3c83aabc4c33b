//! The source of access tokens: requested when needed, renewed before they expire, once for all waiting requests.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::error::ClientError;
use crate::transport::{self, Response};

/// The path of Identity's token endpoint.
pub(crate) const TOKEN_ENDPOINT: [&str; 2] = ["connect", "token"];

/// How long a request waits for the renewal of a token that is still valid.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause after a failed renewal of a token that is still valid.
const RENEWAL_RETRY_DELAY: Duration = Duration::from_secs(15);

/// The credentials by which access tokens are issued.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A user's name and password: the password grant (RFC 6749, 4.3).
    Password {
        /// Identity's address, as `http://host:port`.
        identity: String,
        /// The account's name.
        username: String,
        /// The account's password.
        password: SecretString,
    },
    /// A client of Identity and its secret: the client credentials grant (RFC 6749, 4.4).
    Client {
        /// Identity's address, as `http://host:port`.
        identity: String,
        /// The client's id.
        id: String,
        /// The client's secret.
        secret: SecretString,
    },
    /// An access token that was issued before; it cannot be renewed.
    Token(SecretString),
}

impl Credentials {
    /// The address of the Identity that issues the tokens; `None` for a fixed token.
    pub(crate) fn identity(&self) -> Option<&str> {
        match self {
            Self::Password { identity, .. } | Self::Client { identity, .. } => Some(identity),
            Self::Token(_) => None,
        }
    }
}

/// Provides access tokens. Clones share the token.
#[derive(Clone)]
pub(crate) enum TokenSource {
    /// One token that cannot be renewed.
    Fixed(SecretString),
    /// Tokens of Identity.
    Issued(Arc<TokenCache>),
}

impl TokenSource {
    /// A source for these credentials; nothing is sent yet. Fails if Identity's address is invalid.
    pub(crate) fn new(http: reqwest::Client, credentials: Credentials) -> Result<Self, ClientError> {
        let (identity, form) = match credentials {
            Credentials::Token(token) => return Ok(Self::Fixed(token)),
            Credentials::Password { identity, username, password } => {
                (identity, password_grant_form(username.into(), password))
            }
            Credentials::Client { identity, id, secret } => (
                identity,
                vec![
                    ("grant_type", "client_credentials".into()),
                    ("client_id", id.into()),
                    ("client_secret", secret),
                ],
            ),
        };
        let endpoint = transport::join_path(&transport::base_url(&identity)?, &TOKEN_ENDPOINT);
        let (state, fetching) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self::Issued(Arc::new(TokenCache { http, endpoint, form, state, fetching })))
    }

    /// A valid token.
    pub(crate) async fn token(&self) -> Result<SecretString, ClientError> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::Issued(cache) => cache.token().await,
        }
    }

    /// Another token in place of one that a server refused; `None` if it cannot be renewed.
    pub(crate) async fn replace(&self, refused: &SecretString) -> Result<Option<SecretString>, ClientError> {
        match self {
            Self::Fixed(_) => Ok(None),
            Self::Issued(cache) => {
                cache.invalidate(refused);
                cache.token().await.map(Some)
            }
        }
    }
}

/// The latest token of Identity, and the requests for the next one.
pub(crate) struct TokenCache {
    http: reqwest::Client,
    endpoint: Url,
    form: Vec<(&'static str, SecretString)>,
    state: Mutex<CacheState>,
    /// Held by the caller that requests a token, so that there is one request at a time.
    fetching: tokio::sync::Mutex<()>,
}

/// The outcome of the latest token requests.
#[derive(Default)]
struct CacheState {
    token: Option<Token>,
    failure: Option<(Instant, ClientError)>,
}

/// A token with its times by the local monotonic clock.
#[derive(Clone)]
struct Token {
    secret: SecretString,
    renew_at: Instant,
    expires_at: Instant,
}

impl TokenCache {
    async fn token(&self) -> Result<SecretString, ClientError> {
        let began = Instant::now();
        match self.unexpired(began) {
            Some(token) if began < token.renew_at => Ok(token.secret),
            Some(token) => Ok(self.renew(token).await.secret),
            None => self.wait_or_fetch(began).await,
        }
    }

    /// Renews a token that is still valid. Returns the old one if another caller renews it already, if Identity is slow, or if
    /// the renewal fails.
    async fn renew(&self, old: Token) -> Token {
        let Ok(_fetching) = self.fetching.try_lock() else { return old };
        if let Ok(Ok(token)) = tokio::time::timeout(RENEWAL_TIMEOUT, self.fetch()).await {
            return token;
        }
        let postponed = Token { renew_at: Instant::now() + RENEWAL_RETRY_DELAY, ..old };
        self.with_state(|state| state.token = Some(postponed.clone()));
        postponed
    }

    /// The token that this or another caller requests. A caller that waited for a request that failed shares its failure.
    async fn wait_or_fetch(&self, began: Instant) -> Result<SecretString, ClientError> {
        let _fetching = self.fetching.lock().await;
        if let Some(token) = self.unexpired(Instant::now()) {
            return Ok(token.secret);
        }
        match self.with_state(|state| state.failure.clone()) {
            Some((failed_at, error)) if failed_at >= began => Err(error),
            _ => self.fetch().await.map(|token| token.secret),
        }
    }

    async fn fetch(&self) -> Result<Token, ClientError> {
        let requested_at = Instant::now();
        let form: Vec<(&str, &str)> =
            self.form.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let request = self.http.post(self.endpoint.clone()).form(&form);
        let token = transport::send(request, transport::MAX_IDENTITY_RESPONSE_BYTES)
            .await
            .and_then(Response::or_token_error)
            .and_then(|response| response.read())
            .map(|response| Token::new(response, requested_at));
        self.with_state(|state| match &token {
            Ok(token) => *state = CacheState { token: Some(token.clone()), failure: None },
            Err(error) => state.failure = Some((Instant::now(), error.clone())),
        });
        token
    }

    fn unexpired(&self, now: Instant) -> Option<Token> {
        self.with_state(|state| state.token.clone().filter(|token| now < token.expires_at))
    }

    fn invalidate(&self, refused: &SecretString) {
        self.with_state(|state| {
            state.token.take_if(|token| token.secret.expose_secret() == refused.expose_secret())
        });
    }

    fn with_state<R>(&self, act: impl FnOnce(&mut CacheState) -> R) -> R {
        act(&mut self.state.lock())
    }
}

/// The form of the password grant (RFC 6749, 4.3.2).
pub(crate) fn password_grant_form(
    username: SecretString,
    password: SecretString,
) -> Vec<(&'static str, SecretString)> {
    vec![
        ("grant_type", "password".into()),
        ("username", username),
        ("password", password),
        ("client_id", "tasker_backend".into()),
    ]
}

/// Identity's token response (RFC 6749, 5.1).
#[derive(Deserialize)]
pub(crate) struct TokenResponse {
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: Option<SecretString>,
    /// In seconds.
    expires_in: Option<u64>,
}

impl TokenResponse {
    /// The assumed lifetime of a token whose response has no `expires_in`, in seconds.
    const DEFAULT_LIFETIME_SECONDS: u64 = 300;

    /// No token is used for longer than a day, in seconds.
    const MAX_LIFETIME_SECONDS: u64 = 24 * 60 * 60;

    /// How long the token is valid.
    pub(crate) fn lifetime(&self) -> Duration {
        let seconds = self.expires_in.unwrap_or(Self::DEFAULT_LIFETIME_SECONDS);
        Duration::from_secs(seconds.min(Self::MAX_LIFETIME_SECONDS))
    }
}

impl Token {
    /// The lifetime is counted from the request, so that the token expires here no later than at the server. It is renewed
    /// after four fifths of it.
    fn new(response: TokenResponse, requested_at: Instant) -> Self {
        let lifetime = response.lifetime();
        Self {
            secret: response.access_token,
            renew_at: requested_at + lifetime * 4 / 5,
            expires_at: requested_at + lifetime,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_secrets() {
        let credentials = Credentials::Password {
            identity: "http://localhost".to_owned(),
            username: "ann".to_owned(),
            password: "correct horse".into(),
        };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("ann") && !shown.contains("horse"), "{shown}");
    }

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let requested_at = Instant::now();
        let token = |expires_in| {
            Token::new(
                TokenResponse { access_token: "t".into(), refresh_token: None, expires_in },
                requested_at,
            )
        };
        assert_eq!(token(Some(3600)).renew_at, requested_at + Duration::from_mins(48));
        assert_eq!(token(Some(3600)).expires_at, requested_at + Duration::from_hours(1));
        assert_eq!(token(Some(u64::MAX)).expires_at, requested_at + Duration::from_hours(24));
        assert_eq!(token(None).expires_at, requested_at + Duration::from_mins(5));
    }

    #[tokio::test]
    async fn a_valid_token_is_used_on_after_a_failed_renewal() {
        let credentials = Credentials::Client {
            identity: "http://127.0.0.1:9".to_owned(),
            id: "rig".to_owned(),
            secret: "hush".into(),
        };
        let source = TokenSource::new(transport::http_client(None, false).unwrap(), credentials).unwrap();
        let TokenSource::Issued(cache) = &source else { panic!("client credentials need Identity") };
        let now = Instant::now();
        let old = Token { secret: "old".into(), renew_at: now, expires_at: now + Duration::from_mins(1) };
        cache.with_state(|state| state.token = Some(old));
        assert_eq!(source.token().await.unwrap().expose_secret(), "old");
        let renew_at = cache.unexpired(now).unwrap().renew_at;
        assert!(renew_at > now + RENEWAL_RETRY_DELAY / 2, "the next renewal is postponed");
    }
}
