//! What exists only for clients of the original Tasker (docs/original.md): its public client ids and its claim for roles.

use serde::{Deserialize, Serialize};

use crate::role::Role;

/// The value of `ReturnUrl` by which the original names the login page.
pub(crate) const RETURN_TO_LOGIN: &str = "Login";

/// Each client id as the original's documents and code spell it, and the spelling that tokens carry.
const CLIENT_IDS: [(&str, &str); 4] = [
    ("tasker_backend", "tasker_backend"),
    ("tasker-backend", "tasker_backend"),
    ("tasker_worker", "tasker_worker"),
    ("tasker-worker", "tasker_worker"),
];

/// The ids that tokens carry.
pub(crate) const CANONICAL_IDS: [&str; 2] = ["tasker_backend", "tasker_worker"];

/// The claims of an access token that only clients of the original read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LegacyClaims {
    /// The roles, under the name that ASP.NET Core calls `ClaimTypes.Role`.
    #[serde(rename = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")]
    pub(crate) role: Vec<Role>,
}

/// Whether `id` is a client id of the original, in any of its spellings.
pub(crate) fn is_legacy(id: &str) -> bool {
    canonical_id(id).is_some()
}

/// The spelling of a client id of the original that tokens carry; `None` for any other id.
pub(crate) fn canonical_id(id: &str) -> Option<&'static str> {
    CLIENT_IDS.into_iter().find_map(|(spelling, canonical)| (spelling == id).then_some(canonical))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_legacy_client_id_is_known_and_no_other() {
        for spelling in ["tasker_backend", "tasker-backend", "tasker_worker", "tasker-worker"] {
            assert!(is_legacy(spelling));
        }
        assert!(!is_legacy("Tasker_Backend") && !is_legacy("tasker") && !is_legacy(""));
    }
}
