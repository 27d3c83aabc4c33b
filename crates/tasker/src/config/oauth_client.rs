//! An OAuth client in the settings, and the client of Identity that it becomes.

use std::path::PathBuf;

use identity::{GrantType, Role, Scope};
use serde::Deserialize;

use crate::config::error::ConfigError;
use crate::config::layers::read_secret;

/// An OAuth client: an entry of `identity.clients`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The `client_id`.
    pub id: String,
    /// The name that people are shown. Absent: the id.
    pub name: Option<String>,
    /// The file that holds the `client_secret`. A public client has none.
    pub secret_file: Option<PathBuf>,
    /// Whether the client can keep no secret.
    #[serde(default)]
    pub public: bool,
    /// The roles in the client's own tokens.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// The addresses to which people are sent back with a code.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// The addresses to which people are sent back after they have signed out.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// How the client may get tokens. Absent: with `redirect_uris` a code and a refresh token, without them its secret.
    pub grants: Option<Vec<GrantType>>,
    /// The scopes that the client may request. Absent: all.
    pub scopes: Option<Vec<Scope>>,
    /// Whether people are asked before the client gets tokens for their accounts.
    #[serde(default = "asks_for_consent")]
    pub consent: bool,
}

const fn asks_for_consent() -> bool {
    true
}

impl Client {
    /// The client of Identity, with its secret from its file. What it may do is checked by Identity.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is empty, or if the client has neither a secret nor `public`.
    pub fn read(&self) -> Result<identity::Client, ConfigError> {
        let setting = format!("identity.clients: {}", self.id);
        let secret = match (&self.secret_file, self.public) {
            (Some(file), false) => Some(read_secret(&setting, file)?.into()),
            (None, true) => None,
            _ => {
                return Err(ConfigError::new(format!(
                    "{setting}: set either `secret_file` or `public = true`"
                )));
            }
        };
        let default_grants = || {
            if self.redirect_uris.is_empty() {
                vec![GrantType::ClientCredentials]
            } else {
                vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
            }
        };
        Ok(identity::Client {
            id: self.id.clone(),
            name: self.name.clone().unwrap_or_else(|| self.id.clone()),
            secret,
            roles: self.roles.clone(),
            grants: self.grants.clone().unwrap_or_else(default_grants),
            scopes: self.scopes.clone().unwrap_or_else(|| Scope::ALL.to_vec()),
            redirect_uris: self.redirect_uris.clone(),
            post_logout_redirect_uris: self.post_logout_redirect_uris.clone(),
            needs_consent: self.consent,
        })
    }
}
