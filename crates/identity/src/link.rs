//! Addresses that carry a proof to the registration page.

use crate::opaque::Opaque;
use crate::proofs::Kind;
use crate::settings::Settings;

/// The registration page with a proof.
pub(crate) fn register(settings: &Settings, kind: Kind, token: &Opaque) -> String {
    format!("{}/Auth/Register?ReturnUrl=Login&{}={}", settings.issuer, kind.name(), token.as_str())
}
