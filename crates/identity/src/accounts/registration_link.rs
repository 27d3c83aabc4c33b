//! Setup links and invitations as URLs: the registration page with a registration token in its query.

use crate::accounts::registration_tokens::Kind;
use crate::legacy_clients::RETURN_TO_LOGIN;
use crate::secret_token::SecretToken;
use crate::settings::Settings;

/// The URL of the registration page with this token.
pub(crate) fn url(settings: &Settings, kind: Kind, token: &SecretToken) -> String {
    let (issuer, parameter, token) = (&settings.issuer, kind.name(), token.as_str());
    format!("{issuer}/Auth/Register?ReturnUrl={RETURN_TO_LOGIN}&{parameter}={token}")
}
