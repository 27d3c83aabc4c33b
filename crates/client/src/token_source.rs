//! The token source: fetched when needed, renewed before its end, once for everyone who waits.

use secrecy::{ExposeSecret, SecretString};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Url;
use serde::Deserialize;

use crate::error::ClientError;
use crate::transport::{self, Answer};

/// What a token is given for.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// A user's name and password.
    Password {
        /// Identity's address.
        identity: String,
        /// The account.
        username: String,
        /// Its password.
        password: SecretString,
    },
    /// A client of Identity and its secret.
    Client {
        /// Identity's address.
        identity: String,
        /// The client's id.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
    /// A token that somebody else fetched; there is no other.
    Token(SecretString),
}

impl Credentials {
    /// The address of the Identity that gives the token, if one is asked for it.
    pub(crate) fn identity(&self) -> Option<&str> {
        match self {
            Self::Password { identity, .. } | Self::Client { identity, .. } => Some(identity),
            Self::Token(_) => None,
        }
    }
}

/// Where tokens come from. Clones share the token.
#[derive(Clone)]
pub(crate) struct Tokens {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Fixed(SecretString),
    Identity(Arc<Identity>),
}

struct Identity {
    http: reqwest::Client,
    endpoint: Url,
    form: Vec<(&'static str, SecretString)>,
    kept: Mutex<Kept>,
    /// Held while one caller asks Identity, never by another part of the program.
    asking: tokio::sync::Mutex<()>,
}

/// What came of the latest asks.
#[derive(Default)]
struct Kept {
    token: Option<Token>,
    failure: Option<(Instant, ClientError)>,
}

#[derive(Clone)]
struct Token {
    secret: SecretString,
    renew: Instant,
    end: Instant,
}

/// While the old token is still good nobody waits longer than this for its successor.
const RENEWAL_LIMIT: Duration = Duration::from_secs(2);

/// A renewal that failed is tried again after this.
const RENEWAL_PAUSE: Duration = Duration::from_secs(15);

impl Tokens {
    pub(crate) fn new(http: reqwest::Client, credentials: Credentials) -> Result<Self, ClientError> {
        let (identity, form) = match credentials {
            Credentials::Token(token) => return Ok(Self { source: Source::Fixed(token) }),
            Credentials::Password { identity, username, password } => {
                (identity, by_password(username.into(), password))
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
        let endpoint = transport::below(&transport::base(&identity)?, &ENDPOINT);
        let (kept, asking) = (Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self { source: Source::Identity(Arc::new(Identity { http, endpoint, form, kept, asking })) })
    }

    /// A token that is good now.
    pub(crate) async fn token(&self) -> Result<SecretString, ClientError> {
        match &self.source {
            Source::Fixed(token) => Ok(token.clone()),
            Source::Identity(identity) => identity.token().await,
        }
    }

    /// Another token than `refused`, or `None` if there is only this one.
    pub(crate) async fn instead_of(
        &self,
        refused: &SecretString,
    ) -> Result<Option<SecretString>, ClientError> {
        match &self.source {
            Source::Fixed(_) => Ok(None),
            Source::Identity(identity) => {
                identity.forget(refused);
                identity.token().await.map(Some)
            }
        }
    }
}

impl Identity {
    async fn token(&self) -> Result<SecretString, ClientError> {
        let arrived = Instant::now();
        match self.good(arrived) {
            Some(token) if arrived < token.renew => Ok(token.secret),
            Some(token) => Ok(self.renewed(token).await.secret),
            None => self.awaited(arrived).await,
        }
    }

    /// A successor of a token that is still good, if nobody else fetches it already and Identity is quick.
    async fn renewed(&self, old: Token) -> Token {
        let Ok(_asking) = self.asking.try_lock() else { return old };
        if let Ok(Ok(token)) = tokio::time::timeout(RENEWAL_LIMIT, self.fetch()).await {
            return token;
        }
        let later = Token { renew: Instant::now() + RENEWAL_PAUSE, ..old };
        self.with_kept(|kept| kept.token = Some(later.clone()));
        later
    }

    /// The token that this caller or another one fetches now. Who waited for a fetch that failed shares its failure.
    async fn awaited(&self, arrived: Instant) -> Result<SecretString, ClientError> {
        let _asking = self.asking.lock().await;
        if let Some(token) = self.good(Instant::now()) {
            return Ok(token.secret);
        }
        match self.with_kept(|kept| kept.failure.clone()) {
            Some((failed, error)) if failed >= arrived => Err(error),
            _ => self.fetch().await.map(|token| token.secret),
        }
    }

    async fn fetch(&self) -> Result<Token, ClientError> {
        let asked = Instant::now();
        let form: Vec<(&str, &str)> =
            self.form.iter().map(|(name, value)| (*name, value.expose_secret())).collect();
        let request = self.http.post(self.endpoint.clone()).form(&form);
        let answer = transport::exchange(request, transport::MOST_OF_IDENTITY).await;
        let answer = answer
            .and_then(Answer::or_token_error)
            .and_then(|answer| answer.read())
            .map(|issued| Token::of(issued, asked));
        self.with_kept(|kept| match &answer {
            Ok(token) => *kept = Kept { token: Some(token.clone()), failure: None },
            Err(error) => kept.failure = Some((Instant::now(), error.clone())),
        });
        answer
    }

    fn good(&self, now: Instant) -> Option<Token> {
        self.with_kept(|kept| kept.token.clone().filter(|token| now < token.end))
    }

    fn forget(&self, refused: &SecretString) {
        self.with_kept(|kept| {
            kept.token.take_if(|token| token.secret.expose_secret() == refused.expose_secret())
        });
    }

    fn with_kept<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> R {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where tokens are given.
pub(crate) const ENDPOINT: [&str; 2] = ["connect", "token"];

/// What Identity is told by somebody who has a password.
pub(crate) fn by_password(
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

/// Identity's answer (RFC 6749, 5.1).
#[derive(Deserialize)]
pub(crate) struct Issued {
    pub(crate) access_token: SecretString,
    expires_in: Option<u64>,
}

impl Issued {
    /// What is said of its life when Identity says nothing, in seconds.
    const UNSAID: u64 = 300;

    /// No token is kept for longer than a day, in seconds.
    const LONGEST: u64 = 24 * 60 * 60;

    /// How long the token counts.
    pub(crate) fn life(&self) -> Duration {
        Duration::from_secs(self.expires_in.unwrap_or(Self::UNSAID).min(Self::LONGEST))
    }
}

impl Token {
    /// Its life is counted from the ask, so it ends here no later than there, and is renewed after four fifths.
    fn of(issued: Issued, asked: Instant) -> Self {
        let life = issued.life();
        Self { secret: issued.access_token, renew: asked + life * 4 / 5, end: asked + life }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let credentials = Credentials::Password {
            identity: "http://localhost".to_owned(),
            username: "ann".to_owned(),
            password: "correct horse".into(),
        };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("ann") && !shown.contains("horse"), "{shown}");
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let asked = Instant::now();
        let token = |expires_in| Token::of(Issued { access_token: "t".into(), expires_in }, asked);
        assert_eq!(token(Some(3600)).renew, asked + Duration::from_mins(48));
        assert_eq!(token(Some(3600)).end, asked + Duration::from_hours(1));
        assert_eq!(token(Some(u64::MAX)).end, asked + Duration::from_hours(24));
        assert_eq!(token(None).end, asked + Duration::from_mins(5));
    }

    #[tokio::test]
    async fn a_token_that_is_still_good_outlives_a_failed_renewal() {
        let credentials = Credentials::Client {
            identity: "http://127.0.0.1:9".to_owned(),
            id: "rig".to_owned(),
            secret: "hush".into(),
        };
        let tokens = Tokens::new(transport::connections(None, false).unwrap(), credentials).unwrap();
        let Source::Identity(identity) = &tokens.source else { panic!("there is an Identity") };
        let now = Instant::now();
        let old = Token { secret: "old".into(), renew: now, end: now + Duration::from_mins(1) };
        identity.with_kept(|kept| kept.token = Some(old));
        assert_eq!(tokens.token().await.unwrap().expose_secret(), "old");
        let renew = identity.good(now).unwrap().renew;
        assert!(renew > now + RENEWAL_PAUSE / 2, "and the next try waits");
    }
}
