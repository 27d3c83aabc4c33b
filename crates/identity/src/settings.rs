//! The settings of Identity, and which values are invalid.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::Deserialize;
use uuid::Uuid;
use web::client_address::TrustedProxies;
use web::cors::{self, InvalidOrigin};

use crate::clients::client::{Client, GrantType};
use crate::clients::redirect_uri;
use crate::legacy_clients::is_legacy;

/// The longest life of an access token, and so how long a revocation has to be published.
pub(crate) const MAX_TOKEN_TTL: Duration = Duration::from_hours(24);

/// The fewest characters of a client's secret. No rate limit protects a right secret from being found.
const MIN_SECRET_LENGTH: usize = 16;

/// The settings of one Identity.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The public address, as tokens name it: `http://127.0.0.1:8081`, without a slash at the end.
    pub issuer: String,
    /// Who may register without a setup link or an invitation.
    pub open_registration: OpenRegistration,
    /// The fewest characters of a password.
    pub min_password_length: usize,
    /// The lifetime of an access token: between a second and a day.
    pub access_token_ttl: Duration,
    /// The path of the file with the key that encrypts the signing keys; created when it is missing.
    pub key_file: PathBuf,
    /// OAuth clients beside the built-in ones; one with the id of a built-in one replaces it.
    pub clients: Vec<Client>,
    /// The origins of web pages that may call the API and the endpoints of OAuth (CORS); the account pages are for none.
    pub cors_origins: Vec<String>,
    /// The reverse proxies that are believed when they name the address of a client.
    pub trusted_proxies: TrustedProxies,
}

/// Who may register without a setup link, an invitation or an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenRegistration {
    /// Nobody.
    None,
    /// Anyone, with the role `User`.
    #[default]
    Users,
    /// Anyone, also with the role `Admin` (the box "Full Access"), as in the original.
    Full,
}

impl OpenRegistration {
    /// Whether Identity may listen on `address` with this setting: `full` is for loopback addresses only.
    pub fn may_listen_on(self, address: IpAddr) -> bool {
        self != Self::Full || address.to_canonical().is_loopback()
    }
}

/// An invalid setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// The issuer is not a scheme, a host and a port.
    #[error(
        "`identity.issuer` must be an address like https://id.example.org, with nothing after the host and the port"
    )]
    Issuer,
    /// An origin for CORS is none.
    #[error("`identity.cors_origins`: {0}")]
    CorsOrigin(#[from] InvalidOrigin),
    /// The lifetime of tokens is too short or too long.
    #[error("`identity.access_token_ttl_s` must be from 1 to 86400 (seconds)")]
    TokenTtl,
    /// The id of a client is malformed, given twice, or could be mistaken for an account or a client of the original.
    #[error(
        "`identity.clients`: the id `{0}` cannot be used: an id must be visible ASCII without `:`, is not a UUID or one of \
         Tasker's own ids, and is given once"
    )]
    ClientId(String),
    /// A client has a secret that could be guessed.
    #[error(
        "`identity.clients`: the secret of the client `{0}` has fewer than 16 characters, so it could be guessed"
    )]
    ClientSecret(String),
    /// A client may do what it cannot, or has an address to which nobody may be sent.
    #[error("`identity.clients`: the client `{0}`: {1}")]
    Client(String, String),
}

impl Settings {
    /// Checks every setting that this crate depends on.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        let host = self.issuer.strip_prefix("https://").or_else(|| self.issuer.strip_prefix("http://"));
        let is_plain =
            |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
        if !host.is_some_and(|host| !host.is_empty() && !host.starts_with(':') && is_plain(host)) {
            return Err(InvalidSetting::Issuer);
        }
        if !(Duration::from_secs(1)..=MAX_TOKEN_TTL).contains(&self.access_token_ttl) {
            return Err(InvalidSetting::TokenTtl);
        }
        self.cors_origins.iter().try_for_each(|text| cors::origin(text).map(drop))?;
        let mut seen = HashSet::new();
        for client in &self.clients {
            let is_visible = client.id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
            let is_ambiguous =
                client.id.is_empty() || is_legacy(&client.id) || Uuid::try_parse(&client.id).is_ok();
            if !is_visible || is_ambiguous || !seen.insert(&client.id) {
                return Err(InvalidSetting::ClientId(client.id.clone()));
            }
            check_client(client)?;
        }
        Ok(())
    }

    /// Whether browsers reach Identity over HTTPS.
    pub(crate) fn is_https(&self) -> bool {
        self.issuer.starts_with("https://")
    }
}

/// Checks what a client may do against what it is.
fn check_client(client: &Client) -> Result<(), InvalidSetting> {
    let invalid = |rule: &str| Err(InvalidSetting::Client(client.id.clone(), rule.to_owned()));
    if let Some(secret) = &client.secret
        && secret.expose_secret().chars().count() < MIN_SECRET_LENGTH
    {
        return Err(InvalidSetting::ClientSecret(client.id.clone()));
    }
    if client.grants.is_empty() || client.scopes.is_empty() {
        return invalid("it needs at least one of `grants` and one of `scopes`");
    }
    if client.may_use(GrantType::ClientCredentials) && !client.is_confidential() {
        return invalid("`client_credentials` needs a secret");
    }
    if client.may_use(GrantType::AuthorizationCode) == client.redirect_uris.is_empty() {
        return invalid("`authorization_code` needs `redirect_uris`, and nothing else does");
    }
    for uri in client.redirect_uris.iter().chain(&client.post_logout_redirect_uris) {
        if let Err(rule) = redirect_uri::check(uri) {
            return invalid(&format!("the address `{uri}` {rule}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    fn settings(issuer: &str) -> Settings {
        Settings {
            issuer: issuer.to_owned(),
            open_registration: OpenRegistration::Users,
            min_password_length: 8,
            access_token_ttl: Duration::from_hours(1),
            key_file: PathBuf::new(),
            clients: Vec::new(),
            cors_origins: Vec::new(),
            trusted_proxies: TrustedProxies::default(),
        }
    }

    fn with_client(id: &str, secret: &str) -> Settings {
        let client = Client::with_own_tokens(id, secret.to_owned().into(), vec![Role::Worker]);
        Settings { clients: vec![client], ..settings("http://127.0.0.1:8081") }
    }

    #[test]
    fn an_issuer_is_a_scheme_a_host_and_a_port() {
        for good in ["http://127.0.0.1:8081", "http://[::1]:8081", "https://id.example.org"] {
            assert_eq!(settings(good).check(), Ok(()), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1",
            "ftp://a",
            "http://",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
        ] {
            assert_eq!(settings(bad).check(), Err(InvalidSetting::Issuer), "{bad}");
        }
    }

    #[test]
    fn a_client_id_cannot_be_mistaken_for_an_account_or_a_legacy_client() {
        assert_eq!(with_client("robot", "sixteen letters!").check(), Ok(()));
        for bad in ["", "a b", "a:b", "tasker-worker", "6f1f6c9e-3b3b-4f0a-9d8e-0d8f5c1f2a3b"] {
            assert_eq!(
                with_client(bad, "sixteen letters!").check(),
                Err(InvalidSetting::ClientId(bad.to_owned()))
            );
        }
        for short in ["", "fifteen letters"] {
            let refusal = with_client("robot", short).check();
            assert_eq!(refusal, Err(InvalidSetting::ClientSecret("robot".to_owned())));
        }
    }

    #[test]
    fn full_registration_is_for_loopback_only() {
        for (address, allowed) in
            [("127.0.0.1", true), ("::1", true), ("0.0.0.0", false), ("10.0.0.1", false)]
        {
            assert_eq!(OpenRegistration::Full.may_listen_on(address.parse().unwrap()), allowed, "{address}");
        }
        assert!(OpenRegistration::Users.may_listen_on("0.0.0.0".parse().unwrap()));
    }

    #[test]
    fn debug_output_hides_client_secrets() {
        assert!(!format!("{:?}", with_client("robot", "hunter2hunter2")).contains("hunter2"));
    }
}
