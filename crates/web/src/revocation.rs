//! The list of revoked access tokens that Identity publishes and Backends read.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The list: the subjects that had tokens revoked within the longest lifetime of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationList {
    /// One entry for each subject.
    pub revocations: Vec<Revocation>,
}

/// Tokens of one subject that are refused before they expire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revocation {
    /// The first 128 bits of the SHA-256 of the tokens' `sub` or `sid`, in hexadecimal digits: the list is public, and whoever reads it
    /// learns no account and no client.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub subject: String,
    /// Access tokens whose claim `generation` is smaller are refused.
    pub generation: i64,
}

/// The first 128 bits of the SHA-256 of a token's `sub` or `sid`, as 32 hexadecimal digits.
pub fn subject_digest(subject: &str) -> String {
    let hash = digest(&SHA256, subject.as_bytes());
    let start = hash.as_ref().first_chunk().expect("a SHA-256 has 32 bytes");
    format!("{:032x}", u128::from_be_bytes(*start))
}
