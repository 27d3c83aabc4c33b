//! The file of the sign-in of a user of this machine, written by `tasker login` and removed by `tasker logout`.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::private_file;

/// A sign-in. It holds a token and never a password.
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
    /// The end of the token's validity, by the clock of this machine.
    pub expires_at: Timestamp,
    /// The file of authorities trusted for both. Absent: the platform's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<PathBuf>,
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
