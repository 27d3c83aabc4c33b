//! Addresses that carry a proof to the registration page.

use crate::accounts::registration_tokens::Kind;
use crate::secret_token::SecretToken;
use crate::settings::Settings;

/// The registration page with a proof.
pub(crate) fn register(settings: &Settings, kind: Kind, token: &SecretToken) -> String {
    format!("{}/Auth/Register?ReturnUrl=Login&{}={}", settings.issuer, kind.name(), token.as_str())
}
