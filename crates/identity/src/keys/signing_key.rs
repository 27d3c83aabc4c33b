//! A signing key: RSA with 3072 bits, whose id is its thumbprint (RFC 7638).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, Jwk, KeyAlgorithm, PublicKeyUse, RSAKeyParameters, RSAKeyType,
    ThumbprintHash,
};

/// A key pair and the time from which it signs.
pub(crate) struct SigningKey {
    /// The key's id in tokens and in the JWK set.
    pub(crate) kid: String,
    /// The public key as it is published.
    pub(crate) public: Jwk,
    /// The position in the sequence of keys, from 1.
    pub(crate) generation: i64,
    /// From when on the key signs, in microseconds since 1970.
    pub(crate) signs_from: i64,
    pair: RsaKeyPair,
}

impl SigningKey {
    /// A new key, and its private key as PKCS#8. Generating it takes about half a second of CPU time.
    pub(crate) fn generate(generation: i64, signs_from: i64) -> (Self, Vec<u8>) {
        let pair = RsaKeyPair::generate(KeySize::Rsa3072).expect("the system has random numbers");
        let private: Pkcs8V1Der<'static> = pair.as_der().expect("a generated key can be encoded");
        let private = private.as_ref().to_vec();
        (Self::new(generation, signs_from, pair), private)
    }

    /// The key with this private key; `None` if `private` is no RSA key in PKCS#8.
    pub(crate) fn from_pkcs8(generation: i64, signs_from: i64, private: &[u8]) -> Option<Self> {
        let pair = RsaKeyPair::from_pkcs8(private).ok()?;
        Some(Self::new(generation, signs_from, pair))
    }

    fn new(generation: i64, signs_from: i64, pair: RsaKeyPair) -> Self {
        let mut public = public_jwk(&pair);
        let kid = public.thumbprint(ThumbprintHash::SHA256).expect("an RSA key has a thumbprint");
        public.common.key_id = Some(kid.clone());
        Self { kid, public, generation, signs_from, pair }
    }

    /// The RS256 signature (RFC 7518, section 3.3) of `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("a key of 3072 bits signs");
        signature
    }
}

/// The public key as a JWK (RFC 7517), without its id.
fn public_jwk(pair: &RsaKeyPair) -> Jwk {
    let key = pair.public_key();
    let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
    Jwk {
        common: CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(KeyAlgorithm::RS256),
            ..CommonParameters::default()
        },
        algorithm: AlgorithmParameters::RSA(RSAKeyParameters {
            key_type: RSAKeyType::RSA,
            n: encode(key.modulus().big_endian_without_leading_zero()),
            e: encode(key.exponent().big_endian_without_leading_zero()),
        }),
    }
}
