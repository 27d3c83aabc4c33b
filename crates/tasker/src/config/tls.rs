//! The TLS files of the settings: a listener's certificate and key, and the certificate authorities that a client trusts.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::error::ConfigError;
use crate::config::paired_settings::both_or_neither;
use crate::config::sections::{Backend, Identity, Metrics, Traces, Worker};
use crate::text_file;

/// The files of a listener's certificate and key, and the section of the settings that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// `backend`, `identity` or `metrics`.
    pub section: &'static str,
    /// The certificate, followed by its intermediate certificates, PEM.
    pub certificate: PathBuf,
    /// The private key of the certificate, PEM.
    pub key: PathBuf,
}

/// The contents of [`CertificateFiles`], not checked.
#[derive(PartialEq, Eq)]
pub struct CertificateContents {
    /// The bytes of the certificate file.
    pub certificate: Vec<u8>,
    /// The bytes of the key file.
    pub key: Vec<u8>,
}

impl CertificateFiles {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// If one cannot be read: the sentence names the setting, the path and the cause.
    pub fn read(&self) -> Result<CertificateContents, ConfigError> {
        Ok(CertificateContents {
            certificate: text_file::read_pem(&self.certificate)
                .map_err(|error| self.certificate_file_error(format!("it cannot be read: {error}")))?,
            key: text_file::read_pem(&self.key)
                .map_err(|error| self.key_file_error(format!("it cannot be read: {error}")))?,
        })
    }

    /// The error that the certificate file cannot be used, and why.
    pub fn certificate_file_error(&self, why: impl Display) -> ConfigError {
        self.file_error("tls_cert", &self.certificate, why)
    }

    /// The error that the key file cannot be used, and why.
    pub fn key_file_error(&self, why: impl Display) -> ConfigError {
        self.file_error("tls_key", &self.key, why)
    }

    fn file_error(&self, key: &str, path: &Path, why: impl Display) -> ConfigError {
        ConfigError::new(format!("{}.{key} = {}: {why}", self.section, path.display()))
    }
}

impl Backend {
    /// The certificate of the listener; `None` without TLS.
    pub fn tls(&self) -> Result<Option<CertificateFiles>, ConfigError> {
        certificate_files("backend", self.tls_cert.as_ref(), self.tls_key.as_ref())
    }

    /// The authorities (PEM) trusted for Identity; `None` means the platform's.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.tls_ca.as_deref().map(|path| authorities("backend.tls_ca", path)).transpose()
    }
}

impl Identity {
    /// The certificate of the listener; `None` without TLS.
    pub fn tls(&self) -> Result<Option<CertificateFiles>, ConfigError> {
        certificate_files("identity", self.tls_cert.as_ref(), self.tls_key.as_ref())
    }
}

impl Worker {
    /// The authorities (PEM) trusted for Backend and Identity; `None` means the platform's.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.tls_ca.as_deref().map(|path| authorities("worker.tls_ca", path)).transpose()
    }
}

impl Metrics {
    /// The certificate of the listener; `None` without TLS.
    pub fn tls(&self) -> Result<Option<CertificateFiles>, ConfigError> {
        certificate_files("metrics", self.tls_cert.as_ref(), self.tls_key.as_ref())
    }
}

impl Traces {
    /// The authorities (PEM) trusted for the trace collector; `None` means the platform's.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, ConfigError> {
        self.tls_ca.as_deref().map(|path| authorities("traces.tls_ca", path)).transpose()
    }
}

fn certificate_files(
    section: &'static str,
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
) -> Result<Option<CertificateFiles>, ConfigError> {
    let both = both_or_neither(section, ("tls_cert", certificate.cloned()), ("tls_key", key.cloned()))?;
    Ok(both.map(|(certificate, key)| CertificateFiles { section, certificate, key }))
}

/// Reads the PEM file of certificate authorities at `path`. `origin` is the setting or option that names the file.
///
/// # Errors
///
/// If the file cannot be read, holds no certificate, or one that cannot be used.
pub fn authorities(origin: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let refuse = |why: String| ConfigError::new(format!("{origin} = {}: {why}", path.display()));
    let pem = text_file::read_pem(path).map_err(|error| refuse(format!("it cannot be read: {error}")))?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| refuse(format!("it is not PEM: {error}")))?;
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
    use crate::config::layers::config_of;

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let half = config_of(&["backend.tls_cert=c.pem"]).check_backend().unwrap_err().to_string();
        assert_eq!(half, "backend.tls_cert is set and backend.tls_key is not");
        let half = config_of(&["identity.tls_key=k.pem"]).check_identity().unwrap_err().to_string();
        assert_eq!(half, "identity.tls_key is set and identity.tls_cert is not");
    }

    #[test]
    fn with_tls_a_listener_may_be_reached_by_others() {
        let open = ["backend.listen=0.0.0.0:8080", "backend.tls_cert=c.pem", "backend.tls_key=k.pem"];
        assert_eq!(config_of(&open).check_backend(), Ok(()));
        let refusal = config_of(&open[..1]).check_backend().unwrap_err().to_string();
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
        std::fs::write(&path, testkit::CertificateAuthority::new().pem()).unwrap();
        assert!(authorities("--tls-ca", &path).is_ok());
    }
}
