//! The checks of `tasker doctor` on this machine: permissions of secret files, ends of certificates, free disk space.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use database::{Db, ProcessClock};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::commands::checks::Service;
use crate::commands::doctor::finding::{Finding, Verdict};
use crate::config::environment::Environment;
use crate::config::layers::{Layers, secret_files};
use crate::config::sections::Config;
use crate::config::values::directory_of;

/// A certificate that ends within this many days is a warning.
const CERTIFICATE_WARNING_DAYS: i64 = 14;

/// Less free disk space than this is a warning, in bytes.
const LOW_DISK_BYTES: u64 = 2_000_000_000;

/// Less free disk space than this is bad, in bytes.
const MIN_DISK_BYTES: u64 = 200_000_000;

/// The findings about the permissions of files that hold secrets of the service.
pub fn secrets(
    config: &Config,
    layers: &Layers,
    environment: &Environment,
    service: Service,
) -> Vec<Finding> {
    let Config { backend, identity, kafka, metrics, .. } = config;
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let mut add = |subject: &str, path: Option<&Path>| {
        files.extend(path.map(|path| (subject.to_owned(), path.to_owned())));
    };
    for (name, path) in secret_files(environment) {
        add(name, Some(path));
    }
    if let Some((path, secret)) = layers.first_secret_in_settings_file() {
        add(secret, Some(path));
    }
    if service.includes(Service::Backend) {
        for path in sqlite_files(config.database_url().ok()) {
            add("database.url", Some(&path));
        }
        add("backend.tls_key", backend.tls_key.as_deref());
    }
    if service.includes(Service::Identity) {
        for path in sqlite_files(config.identity_database_url().ok().as_deref()) {
            add(config.accounts_setting(), Some(&path));
        }
        add("identity.tls_key", identity.tls_key.as_deref());
        // A key file that does not exist is reported with the signing keys.
        let key_file = config.identity_key_file().ok().filter(|path| path.exists());
        add("identity.key_file", key_file.as_deref());
        for client in &identity.clients {
            add(&format!("client {}", client.id), client.secret_file.as_deref());
        }
    }
    if service != Service::Identity {
        add("kafka.ssl_key_location", kafka.ssl_key_location.as_deref());
    }
    add("metrics.tls_key", metrics.tls_key.as_deref());
    files.into_iter().map(|(subject, path)| secret_file(subject, &path)).collect()
}

/// The file of a SQLite database, and those of its write-ahead log that others may read.
fn sqlite_files(url: Option<&str>) -> Vec<PathBuf> {
    let Some(path) = url.and_then(Db::sqlite_path) else { return Vec::new() };
    let beside = ["-wal", "-shm"].map(|suffix| PathBuf::from(format!("{path}{suffix}")));
    let open = beside.into_iter().filter(|path| is_open_to_others(path).unwrap_or(false));
    [PathBuf::from(path)].into_iter().filter(|path| path.exists()).chain(open).collect()
}

/// The finding about the permissions of one file that holds a secret.
pub fn secret_file(subject: impl Into<String>, path: &Path) -> Finding {
    let shown = path.display();
    match is_open_to_others(path) {
        Err(error) => Finding::new(subject, Verdict::Bad, format!("{shown} cannot be read: {error}")),
        Ok(_) if path.is_dir() => {
            Finding::new(subject, Verdict::Bad, format!("{shown} is a directory; it must be a file"))
        }
        Ok(true) => {
            Finding::new(subject, Verdict::Warn, format!("others may read {shown}: chmod 600 {shown}"))
        }
        Ok(false) => Finding::new(subject, Verdict::Ok, format!("only its owner may read {shown}")),
    }
}

/// Whether the group or all others may read or write the file: its mode allows it, and every directory above lets them
/// pass.
fn is_open_to_others(path: &Path) -> io::Result<bool> {
    let path = path.canonicalize()?;
    let modes = path.ancestors().map(|path| Ok(path.metadata()?.permissions().mode()));
    let modes = modes.collect::<io::Result<Vec<u32>>>()?;
    let Some((file, directories)) = modes.split_first() else { return Ok(false) };
    let may =
        |access, search| file & access != 0 && directories.iter().all(|directory| directory & search != 0);
    Ok(may(0o060, 0o010) || may(0o006, 0o001))
}

/// The findings about the ends of the certificates that the service presents.
pub fn certificates(config: &Config, service: Service) -> Vec<Finding> {
    let Config { backend, identity, kafka, metrics, .. } = config;
    let all = [
        (service.includes(Service::Backend), "backend.tls_cert", &backend.tls_cert),
        (service.includes(Service::Identity), "identity.tls_cert", &identity.tls_cert),
        (service != Service::Identity, "kafka.ssl_certificate_location", &kafka.ssl_certificate_location),
        (true, "metrics.tls_cert", &metrics.tls_cert),
    ];
    let used = all
        .into_iter()
        .filter_map(|(is_used, subject, path)| Some((subject, path.as_ref().filter(|_| is_used)?)));
    used.map(|(subject, path)| certificate(subject, path)).collect()
}

fn certificate(subject: &'static str, path: &Path) -> Finding {
    let read_end = || -> Result<i64, String> {
        let first = CertificateDer::from_pem_file(path).map_err(|error| error.to_string())?;
        let (_, certificate) = X509Certificate::from_der(&first).map_err(|error| error.to_string())?;
        Ok(certificate.validity().not_after.timestamp())
    };
    match read_end() {
        Err(error) => Finding::new(subject, Verdict::Bad, format!("{}: {error}", path.display())),
        Ok(end) => {
            let days = (end - ProcessClock::System.now() / 1_000_000).div_euclid(86_400);
            let verdict = if days < 0 {
                Verdict::Bad
            } else if days < CERTIFICATE_WARNING_DAYS {
                Verdict::Warn
            } else {
                Verdict::Ok
            };
            let message = match verdict {
                Verdict::Bad => format!("it ended {} days ago: replace {}", -days, path.display()),
                _ => format!("it ends in {days} days"),
            };
            Finding::new(subject, verdict, message)
        }
    }
}

/// The finding about free disk space in the directory of a SQLite database; `None` for PostgreSQL.
pub fn disk_space(config: &Config) -> Option<Finding> {
    let path = config.database_url().ok().and_then(Db::sqlite_path)?;
    let directory = directory_of(Path::new(path));
    let free = match rustix::fs::statvfs(directory) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            let message = format!("{}: {error}", directory.display());
            return Some(Finding::new("disk space", Verdict::Bad, message));
        }
    };
    let verdict = match free {
        0..MIN_DISK_BYTES => Verdict::Bad,
        MIN_DISK_BYTES..LOW_DISK_BYTES => Verdict::Warn,
        _ => Verdict::Ok,
    };
    let message = format!("{} MB are free in {}", free / 1_000_000, directory.display());
    Some(Finding::new("disk space", verdict, message))
}
