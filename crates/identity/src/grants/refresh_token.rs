//! Refresh tokens: the id of a grant and a secret. The id tells a token that was replaced from one that never existed.

use uuid::Uuid;

use crate::secret_token::{SecretToken, TokenDigest};

/// A refresh token of a request.
pub(crate) struct RefreshToken {
    /// The grant to which it belongs.
    pub(crate) grant: Uuid,
    /// The digest of its secret.
    pub(crate) digest: TokenDigest,
}

impl RefreshToken {
    /// The token in clear text.
    pub(crate) fn text(grant: Uuid, secret: &SecretToken) -> String {
        format!("{}.{}", grant.simple(), secret.as_str())
    }

    /// Reads a token; `None` if it has another form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (grant, secret) = text.split_once('.')?;
        Some(Self { grant: Uuid::try_parse(grant).ok()?, digest: TokenDigest::of(secret) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let (grant, secret) = (Uuid::new_v4(), SecretToken::random());
        let read = RefreshToken::parse(&RefreshToken::text(grant, &secret)).unwrap();
        assert!(read.grant == grant && read.digest == secret.digest());
        for bad in ["", ".", "a.b", "6f1f6c9e", &"x".repeat(9000)] {
            assert!(RefreshToken::parse(bad).is_none(), "{bad}");
        }
    }
}
