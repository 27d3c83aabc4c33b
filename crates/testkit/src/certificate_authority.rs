//! An authority of a test's own, and the certificates that it signs.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};

/// Signs certificates that nobody but the test trusts.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new one, unlike all others.
    #[expect(clippy::new_without_default, reason = "no two are alike")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // An authority is looked for by its name: two of one name would be one with a bad signature.
        params.distinguished_name = DistinguishedName::new();
        let name = format!("authority {} of a test", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("chance is at hand");
        Self(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    /// Its own certificate: whoever has it trusts what it signs.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these hosts, names or addresses.
    pub fn sign(&self, hosts: &[&str]) -> Signed {
        self.sign_until(hosts, None)
    }

    /// The same, ended since the year 2001.
    pub fn sign_ended(&self, hosts: &[&str]) -> Signed {
        self.sign_until(hosts, Some(2001))
    }

    fn sign_until(&self, hosts: &[&str], year: Option<i32>) -> Signed {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).expect("hosts");
        if let Some(year) = year {
            params.not_after = date_time_ymd(year, 1, 1);
        }
        let key = KeyPair::generate().expect("chance is at hand");
        let certificate = params.signed_by(&key, &self.0).expect("it may sign");
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
