//! Secret tokens: 256 random bits in a cookie or a link, and the digest that the database stores instead.

use std::fmt;

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A secret of 256 random bits as base64url, for a cookie, a link or a generated password.
pub(crate) struct SecretToken(String);

/// The SHA-256 of a secret token. Only the digest is stored, so that nobody who reads the database can use the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32]);

impl SecretToken {
    /// A new token from the system's random number generator.
    pub(crate) fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
    }

    /// The token in clear text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest to store.
    pub(crate) fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The digest in hexadecimal digits.
impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl TokenDigest {
    /// The digest of a token that a request presents.
    pub(crate) fn of(token: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        Self(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// The digest with these 32 bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The digest that [`fmt::Display`] has written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digit = |index: usize| u8::from_str_radix(text.get(index..index + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..64).step_by(2).map(digit).collect();
        Self::from_bytes(&bytes?).filter(|_| text.len() == 64)
    }

    /// The 32 bytes of the digest.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Random bytes from the system's generator.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system has random numbers");
    bytes
}
