//! TLS of a listener: its certificate and its key, read anew when the files change.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{InconsistentKeys, ServerConfig};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use webpki::EndEntityCert;

use crate::config::ConfigError;

/// Between two looks at the files.
const PERIOD: Duration = Duration::from_secs(2);

/// Where a listener's certificate and key are, and the section of the settings that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `backend` or `identity`.
    pub section: &'static str,
    /// The certificate and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// The certificate's key, PEM.
    pub key: PathBuf,
}

/// What stands in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate that is shown to whoever connects.
pub struct Tls {
    files: Files,
    contents: Contents,
    shown: watch::Sender<Arc<ServerConfig>>,
    /// Why the files are not shown as they are now, and whether the log knows.
    refused: Option<(ConfigError, bool)>,
}

/// Shows the certificate that is the newest when a connection comes.
#[derive(Clone)]
pub struct Acceptor(watch::Receiver<Arc<ServerConfig>>);

impl Acceptor {
    /// For one connection.
    pub fn now(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.borrow().clone())
    }
}

impl Tls {
    /// Reads the files for the first time.
    pub fn load(files: Files) -> Result<Self, ConfigError> {
        let contents = files.read()?;
        let shown = watch::Sender::new(files.prepare(&contents)?);
        Ok(Self { files, contents, shown, refused: None })
    }

    /// What connections are accepted with.
    pub fn acceptor(&self) -> Acceptor {
        Acceptor(self.shown.subscribe())
    }

    /// A name of the host at `ip` for which the certificate is valid, so that a program on this machine can go there:
    /// the address, `localhost`, or the first name in the certificate.
    pub fn host(&self, ip: IpAddr) -> Option<String> {
        let leaf = CertificateDer::from_pem_slice(&self.contents.certificate).ok()?;
        let leaf = EndEntityCert::try_from(&leaf).ok()?;
        let is_for = |name: ServerName<'_>| leaf.verify_is_valid_for_subject_name(&name).is_ok();
        if is_for(ip.into()) {
            return None;
        }
        let local = ServerName::try_from("localhost").ok().filter(|_| ip.is_loopback());
        if local.is_some_and(is_for) {
            return Some("localhost".to_owned());
        }
        leaf.valid_dns_names().find(|name| !name.starts_with('*')).map(str::to_owned)
    }

    /// Looks at the files again and again until `stop`. Connections that are open go on as they were accepted.
    pub async fn follow(mut self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            let files = self.files.clone();
            // A disk may take its time.
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            self.take(read);
        }
    }

    /// Shows what was read if it can be shown; otherwise what was there before stays.
    fn take(&mut self, read: Result<Contents, ConfigError>) {
        let prepared = match read {
            Ok(contents) if contents == self.contents => {
                self.refused = None;
                return;
            }
            Ok(contents) => self.files.prepare(&contents).map(|config| (contents, config)),
            Err(refusal) => Err(refusal),
        };
        let (section, path) = (self.files.section, self.files.certificate.display());
        match prepared {
            Ok((contents, config)) => {
                self.contents = contents;
                self.shown.send_replace(config);
                self.refused = None;
                info!("{section}.tls_cert = {path}: the new certificate is shown from now on");
            }
            Err(refusal) => match &mut self.refused {
                Some((same, told)) if *same == refusal => {
                    if !*told {
                        warn!("{refusal}; the certificate from before is still shown");
                    }
                    *told = true;
                }
                // Two files are not replaced in one moment: what is wrong now may be right at the next look.
                refused => *refused = Some((refusal, false)),
            },
        }
    }
}

impl Files {
    fn read(&self) -> Result<Contents, ConfigError> {
        let read = |key: &str, path: &Path| {
            std::fs::read(path).map_err(|error| self.refuse(key, path, format!("it cannot be read: {error}")))
        };
        Ok(Contents { certificate: read("tls_cert", &self.certificate)?, key: read("tls_key", &self.key)? })
    }

    /// TLS 1.2 and 1.3 with this certificate, for HTTP/1.1.
    fn prepare(&self, contents: &Contents) -> Result<Arc<ServerConfig>, ConfigError> {
        let certificate = |why: &dyn Display| self.refuse("tls_cert", &self.certificate, why);
        let chain = CertificateDer::pem_slice_iter(&contents.certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| certificate(&format!("it is no PEM: {error}")))?;
        if chain.is_empty() {
            return Err(certificate(&"there is no certificate (BEGIN CERTIFICATE) in it"));
        }
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
            let why = match error {
                PemError::NoItemsFound => {
                    "there is no private key (BEGIN PRIVATE KEY) in it; an encrypted one cannot be used"
                        .to_owned()
                }
                error => format!("it is no PEM: {error}"),
            };
            self.refuse("tls_key", &self.key, why)
        })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    let at = self.certificate.display();
                    let why = format!("it is not the key of {}.tls_cert = {at}", self.section);
                    self.refuse("tls_key", &self.key, why)
                }
                rustls::Error::InvalidCertificate(why) => certificate(&format!("it cannot be used: {why}")),
                error => self.refuse("tls_key", &self.key, format!("it cannot be used: {error}")),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn refuse(&self, key: &str, path: &Path, why: impl Display) -> ConfigError {
        ConfigError::new(format!("{}.{key} = {}: {why}", self.section, path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tempfile::TempDir;
    use testkit::Authority;

    use super::*;

    /// Files in `home` with these contents.
    fn files(home: &TempDir, certificate: &str, key: &str) -> Files {
        let [at, beside] = ["cert.pem", "key.pem"].map(|name| home.path().join(name));
        std::fs::write(&at, certificate).unwrap();
        std::fs::write(&beside, key).unwrap();
        Files { section: "backend", certificate: at, key: beside }
    }

    fn refusal(certificate: &str, key: &str) -> String {
        let home = TempDir::new().unwrap();
        Tls::load(files(&home, certificate, key)).err().expect("it cannot be shown").to_string()
    }

    #[test]
    fn what_cannot_be_shown_is_refused_with_setting_path_and_cause() {
        let authority = Authority::new();
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
        assert!(broken.contains("cert.pem: it is no PEM"), "{broken}");
        let reject = refusal("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &ours.key);
        assert!(reject.contains("cert.pem: it cannot be used"), "{reject}");
        let files = Files { section: "identity", certificate: "/nowhere/c".into(), key: "/nowhere/k".into() };
        let absent = Tls::load(files).err().unwrap().to_string();
        assert!(absent.starts_with("identity.tls_cert = /nowhere/c: it cannot be read: "), "{absent}");
    }

    #[test]
    fn a_program_on_this_machine_goes_where_the_certificate_is_valid() {
        let (home, authority) = (TempDir::new().unwrap(), Authority::new());
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
    fn a_broken_pair_is_told_at_the_second_look_and_a_good_one_is_taken_at_once() {
        let (home, authority) = (TempDir::new().unwrap(), Authority::new());
        let (old, new) = (authority.sign(&["localhost"]), authority.sign(&["localhost"]));
        let mut tls = Tls::load(files(&home, &old.certificate, &old.key)).unwrap();
        let shown = tls.acceptor();
        let before = Arc::as_ptr(&shown.0.borrow());
        let mut look = |certificate: &str, key: &str| {
            let read = files(&home, certificate, key).read();
            tls.take(read);
            tls.refused.as_ref().map(|(_, told)| *told)
        };
        assert_eq!(look(&old.certificate, &old.key), None);
        assert_eq!(look(&new.certificate, &old.key), Some(false));
        assert_eq!(look(&new.certificate, &old.key), Some(true));
        assert_eq!(look(&new.certificate, &old.key), Some(true));
        assert_eq!(Arc::as_ptr(&shown.0.borrow()), before, "what was there before is shown");
        assert_eq!(look(&new.certificate, &new.key), None);
        assert_ne!(Arc::as_ptr(&shown.0.borrow()), before);
    }
}
