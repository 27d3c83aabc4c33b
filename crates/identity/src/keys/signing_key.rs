//! One signing key: RSA of 3072 bits, named by its thumbprint (RFC 7638).

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

/// A key pair and when it signs.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) public: Jwk,
    pub(crate) generation: i64,
    pub(crate) signs_from: i64,
    pair: RsaKeyPair,
}

impl Key {
    /// A new key, and its private half as PKCS#8. Takes a moment.
    pub(crate) fn make(generation: i64, signs_from: i64) -> (Self, Vec<u8>) {
        let pair = RsaKeyPair::generate(KeySize::Rsa3072).expect("the system has random numbers");
        let private: Pkcs8V1Der<'static> = pair.as_der().expect("a key that was made can be written");
        let private = private.as_ref().to_vec();
        (Self::new(generation, signs_from, pair), private)
    }

    /// The key whose private half is `private`, if it is one.
    pub(crate) fn read(generation: i64, signs_from: i64, private: &[u8]) -> Option<Self> {
        let pair = RsaKeyPair::from_pkcs8(private).ok()?;
        Some(Self::new(generation, signs_from, pair))
    }

    fn new(generation: i64, signs_from: i64, pair: RsaKeyPair) -> Self {
        let mut public = public(&pair);
        let kid = public.thumbprint(ThumbprintHash::SHA256).expect("RSA keys have thumbprints");
        public.common.key_id = Some(kid.clone());
        Self { kid, public, generation, signs_from, pair }
    }

    /// The RS256 signature of `message`.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("a key of 3072 bits signs");
        signature
    }
}

fn public(pair: &RsaKeyPair) -> Jwk {
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
