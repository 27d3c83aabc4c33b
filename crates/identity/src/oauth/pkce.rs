//! Proof Key for Code Exchange (RFC 7636), with the method S256 only.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The only method: `plain` would show the verifier to whoever sees the request.
pub(crate) const METHOD: &str = "S256";

/// Whether a text can be a challenge: the base64url of a SHA-256.
pub(crate) fn is_challenge(challenge: &str) -> bool {
    URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|hash| hash.len() == 32)
}

/// Whether the challenge was made from the verifier, which has 43 to 128 characters of a small alphabet (section 4.1).
pub(crate) fn is_verified(challenge: &str, verifier: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let is_verifier = (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_unreserved);
    let expected = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    is_verifier && verify_slices_are_equal(expected.as_bytes(), challenge.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_standard_is_verified_and_nothing_else() {
        assert!(is_challenge(CHALLENGE) && is_verified(CHALLENGE, VERIFIER));
        for other in [&VERIFIER[1..], "", &VERIFIER.replace('d', "e"), &"a".repeat(42), &"a".repeat(129)] {
            assert!(!is_verified(CHALLENGE, other), "{other}");
        }
        for bad in ["", "abc", &CHALLENGE[1..], &format!("{CHALLENGE}="), &"!".repeat(43)] {
            assert!(!is_challenge(bad), "{bad}");
        }
    }

    #[test]
    fn a_verifier_has_43_to_128_characters() {
        for length in [42, 43, 128, 129] {
            let verifier = "a".repeat(length);
            let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
            assert_eq!(is_verified(&challenge, &verifier), (43..=128).contains(&length), "{length}");
        }
    }
}
