//! The TLS configuration of a listener, reloaded when the files of its certificate or key change.
//!
//! Reloading is written here: an invalid pair of files must leave the old certificate in use and be reported in the log
//! once, by the name of its setting, its path and the cause.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use web::allowed_hosts::HostPattern;
use webpki::EndEntityCert;

use crate::config::error::ConfigError;
use crate::config::tls::{CertificateContents, CertificateFiles};

/// The period in which the files are read again.
const RELOAD_PERIOD: Duration = Duration::from_secs(2);

/// The certificate of a listener, and its files.
pub struct Tls {
    files: CertificateFiles,
    /// The contents that are in use.
    contents: CertificateContents,
    config: watch::Sender<Arc<ServerConfig>>,
    /// The host names in the certificate that is in use.
    names: watch::Sender<Vec<HostPattern>>,
    /// Why the present contents of the files are not used, and whether that has been logged.
    refused: Option<(ConfigError, bool)>,
}

/// Accepts TLS connections with the latest certificate.
#[derive(Clone)]
pub struct Acceptor(watch::Receiver<Arc<ServerConfig>>);

impl Acceptor {
    /// The acceptor for one connection, with the certificate that is current now.
    pub fn current(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.borrow().clone())
    }
}

impl Tls {
    /// Reads the files and builds the TLS configuration.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or used, or the key is not that of the certificate.
    pub fn load(files: CertificateFiles) -> Result<Self, ConfigError> {
        let contents = files.read()?;
        let config = watch::Sender::new(server_config(&files, &contents)?);
        let names = watch::Sender::new(host_names(&contents));
        Ok(Self { files, contents, config, names, refused: None })
    }

    /// The acceptor of connections.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor(self.config.subscribe())
    }

    /// The host names in the certificate, now and after it was replaced.
    pub fn names(&self) -> watch::Receiver<Vec<HostPattern>> {
        self.names.subscribe()
    }

    /// The host name by which a program on this machine should reach `ip`, so that the certificate is valid for it:
    /// `None` for the address itself, else `localhost`, else the first name in the certificate.
    pub fn host(&self, ip: IpAddr) -> Option<String> {
        let leaf = CertificateDer::from_pem_slice(&self.contents.certificate).ok()?;
        let leaf = EndEntityCert::try_from(&leaf).ok()?;
        let is_valid_for = |name: ServerName<'_>| leaf.verify_is_valid_for_subject_name(&name).is_ok();
        if is_valid_for(ip.into()) {
            return None;
        }
        let local = ServerName::try_from("localhost").ok().filter(|_| ip.is_loopback());
        if local.is_some_and(is_valid_for) {
            return Some("localhost".to_owned());
        }
        leaf.valid_dns_names().find(|name| !name.starts_with('*')).map(str::to_owned)
    }

    /// Reads the files periodically until `stop` is cancelled, and uses new contents for new connections. Open connections
    /// keep the certificate with which they were accepted.
    pub async fn reload_when_changed(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(RELOAD_PERIOD)).await.is_some() {
            let files = self.files.clone();
            // Reading blocks, on a slow disk for long: not in the runtime's threads.
            let Ok(contents) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            self.apply(contents);
        }
    }

    /// Uses new contents if they are valid. Invalid ones are logged when they are read the second time in a row: the two
    /// files cannot be replaced at the same moment, so a pair may not match for a short time.
    fn apply(&mut self, contents: Result<CertificateContents, ConfigError>) {
        let prepared = match contents {
            Ok(contents) if contents == self.contents => {
                self.refused = None;
                return;
            }
            Ok(contents) => server_config(&self.files, &contents).map(|config| (contents, config)),
            Err(refusal) => Err(refusal),
        };
        let (section, path) = (self.files.section, self.files.certificate.display());
        match prepared {
            Ok((contents, config)) => {
                self.names.send_replace(host_names(&contents));
                self.contents = contents;
                self.config.send_replace(config);
                self.refused = None;
                info!("{section}.tls_cert = {path}: new connections use the new certificate");
            }
            Err(refusal) => match &mut self.refused {
                Some((same, is_logged)) if *same == refusal => {
                    if !*is_logged {
                        warn!("{refusal}; the old certificate stays in use");
                    }
                    *is_logged = true;
                }
                refused => *refused = Some((refusal, false)),
            },
        }
    }
}

/// The host names for which the first certificate is valid.
fn host_names(contents: &CertificateContents) -> Vec<HostPattern> {
    let Ok(leaf) = CertificateDer::from_pem_slice(&contents.certificate) else { return Vec::new() };
    let Ok(leaf) = EndEntityCert::try_from(&leaf) else { return Vec::new() };
    leaf.valid_dns_names().filter_map(|name| name.parse().ok()).collect()
}

/// The configuration for TLS 1.2 and 1.3 with this certificate, for HTTP/1.1.
fn server_config(
    files: &CertificateFiles,
    contents: &CertificateContents,
) -> Result<Arc<ServerConfig>, ConfigError> {
    let chain = CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| files.certificate_file_error(format!("it is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(files.certificate_file_error("there is no certificate (BEGIN CERTIFICATE) in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
        files.key_file_error(match error {
            PemError::NoItemsFound => {
                "there is no private key (BEGIN PRIVATE KEY) in it; an encrypted key cannot be used"
                    .to_owned()
            }
            error => format!("it is not PEM: {error}"),
        })
    })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                let certificate = files.certificate.display();
                files.key_file_error(format!(
                    "it is not the key of {}.tls_cert = {certificate}",
                    files.section
                ))
            }
            rustls::Error::InvalidCertificate(why) => {
                files.certificate_file_error(format!("it cannot be used: {why}"))
            }
            error => files.key_file_error(format!("it cannot be used: {error}")),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tempfile::TempDir;
    use testkit::CertificateAuthority;

    use super::*;

    /// Files in `home` with these contents.
    fn files(home: &TempDir, certificate: &str, key: &str) -> CertificateFiles {
        let [at, beside] = ["cert.pem", "key.pem"].map(|name| home.path().join(name));
        std::fs::write(&at, certificate).unwrap();
        std::fs::write(&beside, key).unwrap();
        CertificateFiles { section: "backend", certificate: at, key: beside }
    }

    fn refusal(certificate: &str, key: &str) -> String {
        let home = TempDir::new().unwrap();
        Tls::load(files(&home, certificate, key)).err().expect("an error").to_string()
    }

    #[test]
    fn an_invalid_pair_is_refused_with_setting_path_and_cause() {
        let authority = CertificateAuthority::new();
        let (ours, other) = (authority.sign(&["localhost"]), authority.sign(&["localhost"]));
        let mismatch = refusal(&ours.certificate, &other.key);
        assert!(mismatch.starts_with("backend.tls_key = /"), "{mismatch}");
        assert!(mismatch.contains("key.pem: it is not the key of backend.tls_cert = /"), "{mismatch}");
        let empty = refusal("", &ours.key);
        assert!(empty.starts_with("backend.tls_cert = /"), "{empty}");
        assert!(empty.contains("cert.pem: there is no certificate"), "{empty}");
        let keyless = refusal(&ours.certificate, &ours.certificate);
        assert!(keyless.contains("key.pem: there is no private key"), "{keyless}");
        let broken = refusal("-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n", &ours.key);
        assert!(broken.contains("cert.pem: it is not PEM"), "{broken}");
        let reject = refusal("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &ours.key);
        assert!(reject.contains("cert.pem: it cannot be used"), "{reject}");
        let files = CertificateFiles {
            section: "identity",
            certificate: "/nowhere/c".into(),
            key: "/nowhere/k".into(),
        };
        let absent = Tls::load(files).err().unwrap().to_string();
        assert!(absent.starts_with("identity.tls_cert = /nowhere/c: it cannot be read: "), "{absent}");
    }

    #[test]
    fn the_url_has_a_host_for_which_the_certificate_is_valid() {
        let (home, authority) = (TempDir::new().unwrap(), CertificateAuthority::new());
        let host = |names: &[&str]| {
            let signed = authority.sign(names);
            let tls = Tls::load(files(&home, &signed.certificate, &signed.key)).unwrap();
            tls.host(Ipv4Addr::LOCALHOST.into())
        };
        assert_eq!(host(&["tasker.example.org", "localhost", "127.0.0.1"]), None);
        assert_eq!(host(&["tasker.example.org", "localhost"]).as_deref(), Some("localhost"));
        assert_eq!(host(&["*.example.org", "tasker.example.org"]).as_deref(), Some("tasker.example.org"));
    }

    #[test]
    fn an_invalid_pair_is_logged_at_the_second_read_and_a_valid_one_used_at_once() {
        let (home, authority) = (TempDir::new().unwrap(), CertificateAuthority::new());
        let (old, new) = (authority.sign(&["old.example"]), authority.sign(&["*.new.example"]));
        let mut tls = Tls::load(files(&home, &old.certificate, &old.key)).unwrap();
        let (acceptor, names) = (tls.acceptor(), tls.names());
        let in_use = || names.borrow().clone();
        let before = Arc::as_ptr(&acceptor.0.borrow());
        let mut read = |certificate: &str, key: &str| {
            let contents = files(&home, certificate, key).read();
            tls.apply(contents);
            tls.refused.as_ref().map(|(_, is_logged)| *is_logged)
        };
        assert_eq!(read(&old.certificate, &old.key), None);
        assert_eq!(read(&new.certificate, &old.key), Some(false));
        assert_eq!(read(&new.certificate, &old.key), Some(true));
        assert_eq!(read(&new.certificate, &old.key), Some(true));
        assert_eq!(Arc::as_ptr(&acceptor.0.borrow()), before, "the old certificate stays in use");
        assert_eq!(in_use(), ["old.example".parse().unwrap()]);
        assert_eq!(read(&new.certificate, &new.key), None);
        assert_ne!(Arc::as_ptr(&acceptor.0.borrow()), before);
        assert_eq!(in_use(), ["*.new.example".parse().unwrap()]);
    }
}
