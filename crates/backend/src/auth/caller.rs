//! The caller of a request, as its access token says.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use domain::{OwnerId, SubjectId};
use serde::Deserialize;
use tokio::time::Instant;
use uuid::{Builder, Uuid};

use crate::auth::revocations::TokenGeneration;

/// The audience (`aud`) of an access token for this API, and the scope that it must have.
pub(crate) const AUDIENCE: &str = "TaskerWebAPI";

/// The namespace of the ids that are made of clients' names (RFC 9562, 5.5). Tasks are stored under these ids.
const CLIENT_NAMESPACE: Uuid = Uuid::from_u128(0x6b0e_4f57_1d5c_4f0e_9a36_8d2b_7c41_e05a);

/// The bearer of a verified token, whatever its roles.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question to the token's roles and scope")]
pub(crate) struct Caller {
    subject: String,
    id: SubjectId,
    is_user: bool,
    is_worker: bool,
    is_admin: bool,
    has_scope: bool,
    token: TokenGeneration,
    valid_until: Instant,
}

/// The claims of an access token that matter here.
#[derive(Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    sub: String,
    pub(crate) exp: u64,
    #[serde(default)]
    generation: i64,
    /// The grant of a client by which Identity issued the token.
    #[serde(default)]
    sid: Option<String>,
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

    /// The same as an id, under which what is the caller's is stored.
    pub(crate) fn id(&self) -> SubjectId {
        self.id
    }

    /// The generation of the token, by which it may be revoked.
    pub(crate) fn token(&self) -> &TokenGeneration {
        &self.token
    }

    /// When the token expires, the leeway between clocks included.
    pub(crate) fn valid_until(&self) -> Instant {
        self.valid_until
    }

    /// Whether the scope contains [`AUDIENCE`].
    pub(crate) fn has_scope(&self) -> bool {
        self.has_scope
    }

    /// Whether a role allows the workers' part of the API.
    pub(crate) fn is_worker(&self) -> bool {
        self.is_worker
    }

    /// Whether a role allows to change what belongs to others.
    pub(crate) fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// The owner of the tasks that this caller submits, if a role allows that: an account, or a client with its own token. No
    /// client can be taken for an account (RFC 9700, section 4.15), since their ids differ.
    pub(crate) fn owner(&self) -> Option<OwnerId> {
        self.is_user.then_some(OwnerId(self.id.0))
    }
}

impl Caller {
    /// The bearer of a token with these claims, which expires at `valid_until`.
    pub(crate) fn new(claims: Claims, valid_until: Instant) -> Self {
        let has = |role: &str| claims.roles.iter().any(|other| other == role);
        Self {
            id: subject_id(&claims),
            is_user: has("User") || has("Admin"),
            is_admin: has("Admin"),
            is_worker: has("Worker") || has("Admin"),
            has_scope: claims.scope.split(' ').any(|scope| scope == AUDIENCE),
            token: TokenGeneration::new(&claims.sub, claims.sid.as_deref(), claims.generation),
            valid_until,
            subject: claims.sub,
        }
    }
}

/// The id of a token's subject: an account's own, which is a UUID, or one that is made of the client's id and its issuer (UUID
/// version 5). No client's id is a UUID: Identity refuses such a client.
fn subject_id(claims: &Claims) -> SubjectId {
    SubjectId(claims.sub.parse().unwrap_or_else(|_| {
        let mut sha1 = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        for part in [CLIENT_NAMESPACE.as_bytes(), claims.iss.as_bytes(), b" ", claims.sub.as_bytes()] {
            sha1.update(part);
        }
        let hash = sha1.finish();
        let (hash, _) = hash.as_ref().split_first_chunk().expect("SHA-1 has 20 bytes");
        Builder::from_sha1_bytes(*hash).into_uuid()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The id under which a client's tasks are stored must be the same in every release.
    #[test]
    fn the_owner_that_a_client_is_does_not_change() {
        let owner = |sub: &str| {
            let claims = format!(
                r#"{{"iss": "https://id.example.org", "sub": "{sub}", "exp": 0, "roles": ["User"]}}"#
            );
            let claims = serde_json::from_str::<Claims>(&claims).unwrap();
            Caller::new(claims, Instant::now()).owner().unwrap().to_string()
        };
        assert_eq!(owner("reports"), "3165cd61-e12b-56ed-90ba-ccd81a0d8045");
        let account = "0195f5a2-7a3c-4b7e-8d1f-2f9c6a1b3d4e";
        assert_eq!(owner(account), account);
    }
}
