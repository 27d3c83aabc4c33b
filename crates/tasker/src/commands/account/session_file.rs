//! Who is signed in, and where: kept from `tasker login` to `tasker logout`, for its owner's eyes only.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigError, Environment};
use crate::private_file;

/// A sign-in. The password is not part of it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Session {
    /// The Backend that is asked.
    pub backend: String,
    /// The Identity that gave the token.
    pub identity: String,
    /// As whom.
    pub username: String,
    /// The access token.
    pub token: String,
    /// When it ends, by the clock of this machine.
    pub ends: Timestamp,
    /// The authorities that vouch for both, if not those of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
}

/// The place of the one session of a user of this machine.
pub struct Place(Option<PathBuf>);

impl Place {
    /// `$XDG_STATE_HOME/tasker/session.json`, else `~/.local/state/tasker/session.json`.
    pub fn of(environment: &Environment) -> Self {
        let state = environment.get("XDG_STATE_HOME").map(PathBuf::from);
        let home = || environment.get("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        Self(state.or_else(home).map(|state| state.join("tasker/session.json")))
    }

    /// The session, if somebody is signed in.
    pub fn read(&self) -> Result<Option<Session>> {
        let Some(path) = &self.0 else { return Ok(None) };
        let Some(text) = private_file::read(path)? else { return Ok(None) };
        let session = serde_json::from_str(&text);
        session
            .map(Some)
            .with_context(|| format!("{} makes no sense; `tasker login` writes it anew", path.display()))
    }

    /// Keeps a session; one that was there is gone.
    pub fn write(&self, session: &Session) -> Result<()> {
        let Some(path) = &self.0 else {
            return Err(
                ConfigError::new("there is no place for a sign-in: set HOME or XDG_STATE_HOME").into()
            );
        };
        let directory = path.parent().expect("it lies in a directory");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.with_context(|| format!("{} cannot be made", directory.display()))?;
        private_file::write(path, &serde_json::to_string_pretty(session)?)
    }

    /// Forgets the session; whether there was one.
    pub fn clear(&self) -> Result<bool> {
        let Some(path) = self.0.as_ref().filter(|path| path.exists()) else { return Ok(false) };
        std::fs::remove_file(path).with_context(|| format!("{} cannot be removed", path.display()))?;
        Ok(true)
    }
}
