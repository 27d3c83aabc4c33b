//! An OAuth client in the settings.

use std::path::PathBuf;

use identity::{GrantType, Role, Scope};
use serde::Deserialize;

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
