//! The file of the sign-in of a user of this machine, written by `tasker login` and removed by `tasker logout`.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use client::IdentityClient;
use database::ProcessClock;
use domain::Timestamp;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::command_error::NotSignedIn;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::tls::authorities;
use crate::private_file;
use crate::process_lock::{self, Acquisition, ProcessLock};

/// The id under which the command line is registered at Identity.
pub const CLIENT_ID: &str = "tasker-cli";

/// A token that is valid for less than this is replaced, in microseconds.
const MIN_LIFETIME_MICROS: i64 = 60_000_000;

/// The pause between two tries to lock the file.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A sign-in. It holds tokens and never a password.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// The URL of the Backend.
    pub backend: String,
    /// The URL of the Identity that issued the token.
    pub identity: String,
    /// The issuer that the token names: every Backend that accepts its tokens may get this one.
    pub issuer: String,
    /// The name of the account.
    pub username: String,
    /// The access token.
    pub token: String,
    /// What the next access token is requested with; absent after a sign-in with a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// The end of the token's validity, by the clock of this machine.
    pub expires_at: Timestamp,
    /// The file of authorities trusted for both. Absent: the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
}

impl Session {
    /// A client of the Identity that has issued the tokens.
    pub fn identity_client(&self) -> Result<IdentityClient> {
        let ca =
            self.tls_ca.as_deref().map(|path| authorities("--tls-ca of the sign-in", path)).transpose()?;
        Ok(IdentityClient::new(&self.identity, ca.as_deref())?)
    }

    /// Whether the access token is still valid for a while.
    fn is_fresh(&self) -> bool {
        Timestamp(ProcessClock::System.now()).plus_micros(MIN_LIFETIME_MICROS) < self.expires_at
    }
}

/// The path of the session file; `None` if the user has no home directory.
pub struct SessionFile(Option<PathBuf>);

impl SessionFile {
    /// `$XDG_STATE_HOME/tasker/session.json`, else `~/.local/state/tasker/session.json`.
    pub fn of(environment: &Environment) -> Self {
        let state = environment.get("XDG_STATE_HOME").map(PathBuf::from);
        let home = || environment.get("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        Self(state.or_else(home).map(|state| state.join("tasker/session.json")))
    }

    /// The session; `None` if nobody is signed in.
    pub fn read(&self) -> Result<Option<Session>> {
        let Some(path) = &self.0 else { return Ok(None) };
        let Some(text) = private_file::read(path)? else { return Ok(None) };
        let session = serde_json::from_str(&text);
        session
            .map(Some)
            .with_context(|| format!("{} is not valid; `tasker login` writes it again", path.display()))
    }

    /// The session with an access token that is valid for a while, which is requested if need be. Without a refresh token the session is as it
    /// was stored.
    pub async fn read_fresh(&self) -> Result<Option<Session>> {
        let Some(session) = self.read()? else { return Ok(None) };
        if session.is_fresh() || session.refresh_token.is_none() {
            return Ok(Some(session));
        }
        // Each refresh token is used once, so of several commands one requests the next token.
        let _lock = self.lock().await?;
        let Some(session) = self.read()? else { return Ok(None) };
        let Some(refresh_token) = session.refresh_token.as_deref().filter(|_| !session.is_fresh()) else {
            return Ok(Some(session));
        };
        let identity = session.identity_client()?;
        let requested_at = Timestamp(ProcessClock::System.now());
        let provider = identity.provider().await?;
        let refreshed = match identity.refresh(&provider, CLIENT_ID, &refresh_token.into()).await {
            Ok(refreshed) => refreshed,
            Err(error) if error.is_caller_refused() => {
                return Err(NotSignedIn::Expired(session.username).into());
            }
            Err(error) => return Err(error.into()),
        };
        let next = refreshed.refresh_token.as_ref().map(|token| token.expose_secret().to_owned());
        let session = Session {
            token: refreshed.token.expose_secret().to_owned(),
            expires_at: requested_at.plus_micros(refreshed.lifetime_micros()),
            refresh_token: next.or(session.refresh_token),
            ..session
        };
        self.write(&session)?;
        Ok(Some(session))
    }

    /// Waits until no other command requests a token for this file.
    async fn lock(&self) -> Result<ProcessLock> {
        let path = self.0.as_ref().context("there is no sign-in")?.with_extension("lock");
        loop {
            match process_lock::acquire(&path)
                .with_context(|| format!("{} cannot be locked", path.display()))?
            {
                Acquisition::Acquired(lock) => return Ok(lock),
                Acquisition::HeldByOther(_) => tokio::time::sleep(LOCK_PAUSE).await,
            }
        }
    }

    /// Writes a session over the one before.
    pub fn write(&self, session: &Session) -> Result<()> {
        let Some(path) = &self.0 else {
            return Err(ConfigError::new("the sign-in cannot be stored: set HOME or XDG_STATE_HOME").into());
        };
        let directory = path.parent().expect("the path has a directory");
        let created = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        created.with_context(|| format!("{} cannot be created", directory.display()))?;
        private_file::write(path, &serde_json::to_string_pretty(session)?)
    }

    /// Removes the session. `true`: there was one.
    pub fn remove(&self) -> Result<bool> {
        let Some(path) = self.0.as_ref().filter(|path| path.exists()) else { return Ok(false) };
        std::fs::remove_file(path).with_context(|| format!("{} cannot be removed", path.display()))?;
        Ok(true)
    }
}
