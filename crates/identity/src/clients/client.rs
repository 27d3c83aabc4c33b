//! An OAuth client and what it may do.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::clients::redirect_uri;
use crate::role::Role;
use crate::scope::Scope;

/// A program that gets tokens from Identity.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its `client_id`, and the `sub` of its own tokens.
    pub id: String,
    /// Its name, as people are shown it.
    pub name: String,
    /// Its `client_secret` (a confidential client). `None`: a public client, which can keep no secret.
    pub secret: Option<SecretString>,
    /// The roles in its own tokens (`client_credentials`).
    pub roles: Vec<Role>,
    /// How it may get tokens.
    pub grants: Vec<GrantType>,
    /// The scopes that it may request; a request without scopes requests all of them but `offline_access`.
    pub scopes: Vec<Scope>,
    /// The addresses to which people are sent back with a code.
    pub redirect_uris: Vec<String>,
    /// The addresses to which people are sent back after they have signed out.
    pub post_logout_redirect_uris: Vec<String>,
    /// Whether people are asked before the client gets tokens for their accounts. A client of one's own needs no consent.
    pub needs_consent: bool,
}

/// How a client may get a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// With the name and the password of a user (RFC 6749, section 4.3): only clients of the original.
    #[serde(skip)]
    Password,
    /// With the secret of the client (RFC 6749, section 4.4).
    ClientCredentials,
    /// With a code for which a person has signed in in a browser (RFC 6749, section 4.1).
    AuthorizationCode,
    /// With a refresh token (RFC 6749, section 6).
    RefreshToken,
    /// With a code that a person has confirmed on another device (RFC 8628).
    DeviceCode,
}

impl GrantType {
    /// Every grant type.
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::ClientCredentials,
        Self::DeviceCode,
        Self::Password,
    ];

    /// The value of `grant_type`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
        }
    }

    /// The grant type with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }
}

impl Client {
    /// A program with a secret that gets tokens for itself only (`client_credentials`), with these roles.
    pub fn with_own_tokens(id: impl Into<String>, secret: SecretString, roles: Vec<Role>) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            secret: Some(secret),
            roles,
            grants: vec![GrantType::ClientCredentials],
            scopes: vec![Scope::TaskerWebApi],
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            needs_consent: false,
        }
    }

    /// Whether it may get tokens in this way.
    pub(crate) fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether people may be sent back to this address with a code.
    pub(crate) fn has_redirect_uri(&self, uri: &str) -> bool {
        redirect_uri::is_any_registered(&self.redirect_uris, uri)
    }

    /// Whether people may be sent back to this address after they have signed out.
    pub(crate) fn has_post_logout_redirect_uri(&self, uri: &str) -> bool {
        redirect_uri::is_any_registered(&self.post_logout_redirect_uris, uri)
    }

    /// Whether it has a secret.
    pub(crate) const fn is_confidential(&self) -> bool {
        self.secret.is_some()
    }
}
