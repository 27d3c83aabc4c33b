//! A certificate authority for one test, which signs certificates for servers and clients.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};

/// Signs certificates that only the test trusts.
pub struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both PEM.
#[derive(Debug, Clone)]
pub struct SignedCertificate {
    /// The certificate, without its issuer's.
    pub certificate: String,
    /// The private key (PKCS #8).
    pub key: String,
}

impl CertificateAuthority {
    /// A new authority with a key and a name of its own.
    #[expect(
        clippy::new_without_default,
        reason = "every call makes another key, which nobody expects of a default"
    )]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A verifier looks an issuer up by its name. With two authorities of one name it would take the wrong key, and
        // report a bad signature instead of an unknown issuer.
        params.distinguished_name = DistinguishedName::new();
        let name = format!("test authority {}", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key pair can be generated");
        Self(CertifiedIssuer::self_signed(params, key).expect("the authority signs its own certificate"))
    }

    /// The authority's own certificate as PEM: a client that trusts it accepts every certificate that the authority signs.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate that is valid for these hosts (DNS names or IP addresses).
    pub fn sign(&self, hosts: &[&str]) -> SignedCertificate {
        self.sign_until(hosts, None)
    }

    /// Signs a certificate for these hosts that expired at the start of the year 2001.
    pub fn sign_expired(&self, hosts: &[&str]) -> SignedCertificate {
        self.sign_until(hosts, Some(2001))
    }

    fn sign_until(&self, hosts: &[&str], year: Option<i32>) -> SignedCertificate {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("the hosts are DNS names or IP addresses");
        if let Some(year) = year {
            params.not_after = date_time_ymd(year, 1, 1);
        }
        let key = KeyPair::generate().expect("a key pair can be generated");
        let certificate = params.signed_by(&key, &self.0).expect("the authority may sign certificates");
        SignedCertificate { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
