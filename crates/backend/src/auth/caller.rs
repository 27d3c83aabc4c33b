//! The caller of a request, as its access token says.

use domain::OwnerId;
use serde::Deserialize;

use crate::auth::revocations::TokenGeneration;

/// What a token must be for (`aud`), and what its scope must contain.
pub(crate) const AUDIENCE: &str = "TaskerWebAPI";

/// The bearer of a verified token, whatever its roles.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    subject: String,
    is_user: bool,
    is_worker: bool,
    has_scope: bool,
    token: TokenGeneration,
}

/// The claims of an access token that matter here.
#[derive(Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    sub: String,
    pub(crate) exp: u64,
    #[serde(default)]
    generation: i64,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    roles: Vec<String>,
}

impl Caller {
    /// The account's id, or the client's for a client's own token (`sub`).
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// The generation of the token, by which it may be revoked.
    pub(crate) fn token(&self) -> &TokenGeneration {
        &self.token
    }

    /// Whether the scope contains [`AUDIENCE`].
    pub(crate) fn has_scope(&self) -> bool {
        self.has_scope
    }

    /// Whether a role allows the workers' part of the API.
    pub(crate) fn is_worker(&self) -> bool {
        self.is_worker
    }

    /// The owner of the tasks that this caller submits, if a role allows that. A client's own token names no user (RFC 9700,
    /// section 4.15).
    pub(crate) fn owner(&self) -> Option<OwnerId> {
        self.subject.parse().ok().filter(|_| self.is_user)
    }
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        let has = |role: &str| claims.roles.iter().any(|other| other == role);
        Self {
            is_user: has("User") || has("Admin"),
            is_worker: has("Worker") || has("Admin"),
            has_scope: claims.scope.split(' ').any(|scope| scope == AUDIENCE),
            token: TokenGeneration::new(&claims.sub, claims.generation),
            subject: claims.sub,
        }
    }
}
