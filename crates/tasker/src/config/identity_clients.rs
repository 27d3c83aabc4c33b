//! The clients of Identity that the settings name.

use identity::{GrantType, Scope};

use crate::config::error::ConfigError;
use crate::config::layers::read_secret;
use crate::config::oauth_client::Client;

/// The client of Identity, with its secret from its file. What it may do is checked by Identity.
///
/// # Errors
///
/// If the file cannot be read or is empty, or if the client has neither a secret nor `public`.
pub fn read(client: &Client) -> Result<identity::Client, ConfigError> {
    let setting = format!("identity.clients: {}", client.id);
    let secret = match (&client.secret_file, client.public) {
        (Some(file), false) => Some(read_secret(&setting, file)?.into()),
        (None, true) => None,
        _ => {
            return Err(ConfigError::new(format!("{setting}: set either `secret_file` or `public = true`")));
        }
    };
    let default_grants = || {
        if client.redirect_uris.is_empty() {
            vec![GrantType::ClientCredentials]
        } else {
            vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
        }
    };
    Ok(identity::Client {
        id: client.id.clone(),
        name: client.name.clone().unwrap_or_else(|| client.id.clone()),
        secret,
        roles: client.roles.clone(),
        grants: client.grants.clone().unwrap_or_else(default_grants),
        scopes: client.scopes.clone().unwrap_or_else(|| Scope::ALL.to_vec()),
        redirect_uris: client.redirect_uris.clone(),
        post_logout_redirect_uris: client.post_logout_redirect_uris.clone(),
        needs_consent: client.consent,
    })
}
