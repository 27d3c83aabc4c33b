//! What `tasker doctor` looks at on this machine: who may read secrets, when certificates end, how much room there is.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use database::{Clock, Db};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::commands::doctor::finding::{Finding, Verdict};
use crate::commands::probes::Role;
use crate::config::{Config, Environment, Layers, directory_of, secret_files};

/// A certificate that ends so soon is warned of.
const SOON: i64 = 14;

/// So little room is warned of, and so little is bad, in bytes.
const LITTLE: u64 = 2_000_000_000;
const LEAST: u64 = 200_000_000;

/// Files that hold secrets are nobody else's to read.
pub fn secrets(config: &Config, layers: &Layers, environment: &Environment, role: Role) -> Vec<Finding> {
    let Config { backend, identity, kafka, metrics, .. } = config;
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let mut hold = |about: &str, path: Option<&Path>| {
        files.extend(path.map(|path| (about.to_owned(), path.to_owned())));
    };
    for (name, path) in secret_files(environment) {
        hold(name, Some(path));
    }
    if let Some((path, secret)) = layers.secret_in_file() {
        hold(secret, Some(path));
    }
    if role.has(Role::Backend) {
        hold("backend.tls_key", backend.tls_key.as_deref());
    }
    if role.has(Role::Identity) {
        hold("identity.tls_key", identity.tls_key.as_deref());
        // One that is not there is told of with the keys that it is for.
        let key_file = config.identity_key_file().ok().filter(|path| path.exists());
        hold("identity.key_file", key_file.as_deref());
        for client in &identity.clients {
            hold(&format!("client {}", client.id), Some(&client.secret_file));
        }
    }
    if role != Role::Identity {
        hold("kafka.ssl_key_location", kafka.ssl_key_location.as_deref());
    }
    hold("metrics.tls_key", metrics.tls_key.as_deref());
    files.into_iter().map(|(about, path)| private(about, &path)).collect()
}

fn private(about: String, path: &Path) -> Finding {
    let shown = path.display();
    match is_open_to_others(path) {
        Err(error) => Finding::new(about, Verdict::Bad, format!("{shown} cannot be read: {error}")),
        Ok(_) if path.is_dir() => {
            Finding::new(about, Verdict::Bad, format!("{shown} is a directory, and a file is wanted"))
        }
        Ok(true) => Finding::new(about, Verdict::Warn, format!("others may read {shown}: chmod 600 {shown}")),
        Ok(false) => Finding::new(about, Verdict::Ok, format!("{shown} is its owner's alone")),
    }
}

/// Whether its bits let its group or anybody read or write it, and every directory on the way lets them pass.
fn is_open_to_others(path: &Path) -> io::Result<bool> {
    let path = path.canonicalize()?;
    let modes = path.ancestors().map(|path| Ok(path.metadata()?.permissions().mode()));
    let modes = modes.collect::<io::Result<Vec<u32>>>()?;
    let Some((file, way)) = modes.split_first() else { return Ok(false) };
    let may = |use_it, pass| file & use_it != 0 && way.iter().all(|directory| directory & pass != 0);
    Ok(may(0o060, 0o010) || may(0o006, 0o001))
}

/// When what this machine shows to others ends.
pub fn certificates(config: &Config, role: Role) -> Vec<Finding> {
    let Config { backend, identity, kafka, metrics, .. } = config;
    let shown = [
        (role.has(Role::Backend), "backend.tls_cert", &backend.tls_cert),
        (role.has(Role::Identity), "identity.tls_cert", &identity.tls_cert),
        (role != Role::Identity, "kafka.ssl_certificate_location", &kafka.ssl_certificate_location),
        (true, "metrics.tls_cert", &metrics.tls_cert),
    ];
    let shown = shown
        .into_iter()
        .filter_map(|(is_shown, about, path)| Some((about, path.as_ref().filter(|_| is_shown)?)));
    shown.map(|(about, path)| certificate(about, path)).collect()
}

fn certificate(about: &'static str, path: &Path) -> Finding {
    let read = || -> Result<i64, String> {
        let first = CertificateDer::from_pem_file(path).map_err(|error| error.to_string())?;
        let (_, certificate) = X509Certificate::from_der(&first).map_err(|error| error.to_string())?;
        Ok(certificate.validity().not_after.timestamp())
    };
    match read() {
        Err(error) => Finding::new(about, Verdict::Bad, format!("{}: {error}", path.display())),
        Ok(end) => {
            let days = (end - Clock::System.now() / 1_000_000).div_euclid(86_400);
            let verdict = if days < 0 {
                Verdict::Bad
            } else if days < SOON {
                Verdict::Warn
            } else {
                Verdict::Ok
            };
            let said = match verdict {
                Verdict::Bad => {
                    format!("it ended {} days ago: put a new one in the place of {}", -days, path.display())
                }
                _ => format!("it ends in {days} days"),
            };
            Finding::new(about, verdict, said)
        }
    }
}

/// How much room there is beside a SQLite database.
pub fn room(config: &Config) -> Option<Finding> {
    let path = config.database_url().ok().and_then(Db::sqlite_path)?;
    let directory = directory_of(Path::new(path));
    let free = match rustix::fs::statvfs(directory) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            return Some(Finding::new("room", Verdict::Bad, format!("{}: {error}", directory.display())));
        }
    };
    let verdict = match free {
        0..LEAST => Verdict::Bad,
        LEAST..LITTLE => Verdict::Warn,
        _ => Verdict::Ok,
    };
    Some(Finding::new(
        "room",
        verdict,
        format!("{} MB are free in {}", free / 1_000_000, directory.display()),
    ))
}
