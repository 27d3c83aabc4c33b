//! TLS in the settings: a listener's certificate and key, and the authorities that a client of it trusts.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::ConfigError;
use crate::config::sections::{Backend, Identity, Metrics, Traces, Worker};
use crate::config::validation::pair;
use crate::server::tls::Files;

impl Backend {
    /// What its listener shows, if it speaks TLS.
    pub fn tls(&self) -> Result<Option<Files>, ConfigError> {
        files("backend", self.tls_cert.as_ref(), self.tls_key.as_ref())
    }

    /// Whom it trusts to vouch for Identity; `None` is the platform's list.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.tls_ca.as_deref().map(|path| authorities("backend.tls_ca", path)).transpose()
    }
}

impl Identity {
    /// What its listener shows, if it speaks TLS.
    pub fn tls(&self) -> Result<Option<Files>, ConfigError> {
        files("identity", self.tls_cert.as_ref(), self.tls_key.as_ref())
    }
}

impl Worker {
    /// Whom it trusts to vouch for Backend and Identity; `None` is the platform's list.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.tls_ca.as_deref().map(|path| authorities("worker.tls_ca", path)).transpose()
    }
}

impl Metrics {
    /// What its listener shows, if it speaks TLS.
    pub fn tls(&self) -> Result<Option<Files>, ConfigError> {
        files("metrics", self.tls_cert.as_ref(), self.tls_key.as_ref())
    }
}

impl Traces {
    /// Whom it trusts to vouch for the collector; `None` is the platform's list.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.tls_ca.as_deref().map(|path| authorities("traces.tls_ca", path)).transpose()
    }
}

fn files(
    section: &'static str,
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
) -> Result<Option<Files>, ConfigError> {
    let both = pair(section, ("tls_cert", certificate.cloned()), ("tls_key", key.cloned()))?;
    Ok(both.map(|(certificate, key)| Files { section, certificate, key }))
}

/// The PEM file at `path`, which `origin` names, if it holds certificates of authorities and nothing broken.
pub fn authorities(origin: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let refuse = |why: String| ConfigError::new(format!("{origin} = {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| refuse(format!("it cannot be read: {error}")))?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refuse(format!("it is no PEM: {error}")))?;
        trusted.add(certificate).map_err(|error| refuse(format!("it cannot be used: {error}")))?;
    }
    if trusted.is_empty() {
        return Err(refuse("there is no certificate (BEGIN CERTIFICATE) in it".to_owned()));
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::config;

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let half = config(&["backend.tls_cert=c.pem"]).check_backend().unwrap_err().to_string();
        assert_eq!(half, "backend.tls_cert is set and backend.tls_key is not");
        let half = config(&["identity.tls_key=k.pem"]).check_identity().unwrap_err().to_string();
        assert_eq!(half, "identity.tls_key is set and identity.tls_cert is not");
    }

    #[test]
    fn with_tls_a_listener_may_be_reached_by_others() {
        let open = ["backend.listen=0.0.0.0:8080", "backend.tls_cert=c.pem", "backend.tls_key=k.pem"];
        assert_eq!(config(&open).check_backend(), Ok(()));
        let refusal = config(&open[..1]).check_backend().unwrap_err().to_string();
        assert!(refusal.contains("unencrypted: set backend.tls_cert and backend.tls_key, or"), "{refusal}");
    }

    #[test]
    fn a_file_of_authorities_must_hold_one() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ca.pem");
        let refusal = || authorities("--tls-ca", &path).unwrap_err().to_string();
        assert!(refusal().contains("ca.pem: it cannot be read: "), "{}", refusal());
        std::fs::write(&path, "no certificate").unwrap();
        assert!(refusal().starts_with("--tls-ca = /"), "{}", refusal());
        assert!(refusal().contains("ca.pem: there is no certificate"), "{}", refusal());
        std::fs::write(&path, testkit::Authority::new().pem()).unwrap();
        assert!(authorities("--tls-ca", &path).is_ok());
    }
}
