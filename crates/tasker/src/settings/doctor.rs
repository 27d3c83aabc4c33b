//! `tasker doctor`: what of an installation is about to go wrong: versions, clocks, rights, certificates, room.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use identity::ACCOUNTS;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use store::{Clock, Db, Part, Store, TASKS};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::probe::{self, Found, Role};
use super::show::Form;
use crate::config::{Config, Environment, Layers, Sources};
use crate::exit::Exit;
use crate::show;

/// A certificate that ends so soon is warned of.
const SOON: i64 = 14;

/// Clocks that differ by more than this are warned of.
const SKEW: Duration = Duration::from_secs(2);

/// So little room is warned of, and so little is bad, in bytes.
const LITTLE: u64 = 2_000_000_000;
const LEAST: u64 = 200_000_000;

/// Looks an installation over.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The role that this machine plays
    #[arg(value_enum, default_value_t = Role::All)]
    role: Role,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    #[command(flatten)]
    sources: Sources,
}

/// How it stands with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Bad,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Finding {
    about: String,
    verdict: Verdict,
    said: String,
}

impl Finding {
    fn new(about: impl Into<String>, verdict: Verdict, said: impl Into<String>) -> Self {
        Self { about: about.into(), verdict, said: said.into() }
    }

    fn of(about: impl Into<String>, found: Found) -> Self {
        match found {
            Ok(said) => Self::new(about, Verdict::Ok, said),
            Err(said) => Self::new(about, Verdict::Bad, said),
        }
    }
}

impl Doctor {
    /// Looks at one thing after the other, and prints each. Exit code 1 if something is bad.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let config = self.sources.load(Layers::default(), environment)?;
        let mut all = Vec::new();
        self.tell(
            &mut all,
            [Finding::new("tasker", Verdict::Ok, concat!("version ", env!("CARGO_PKG_VERSION")))],
        );
        self.tell(&mut all, [Finding::of("settings", probe::rules(&config, self.role))]);
        self.tell(&mut all, secrets(&config, environment));
        self.tell(&mut all, certificates(&config));
        if self.role.has(Role::Backend) {
            self.tell(&mut all, database("database.url", config.open_tasks(), TASKS).await);
        }
        if self.role.has(Role::Identity) {
            self.tell(&mut all, database(config.accounts_setting(), config.open_accounts(), ACCOUNTS).await);
        }
        if self.role != Role::Worker {
            self.tell(&mut all, room(&config));
        }
        if self.role != Role::Identity && config.kafka.bootstrap_servers.is_some() {
            self.tell(&mut all, [Finding::of("kafka", probe::kafka(&config).await)]);
        }
        if self.role.has(Role::Backend) {
            self.tell(&mut all, [Finding::of("backend.identity_url", probe::identity(&config).await)]);
        }
        if self.role.has(Role::Worker) {
            self.tell(&mut all, [Finding::of("worker", probe::worker(&config).await)]);
        }
        if self.output == Form::Json {
            show::line(&serde_json::to_string(&all)?)?;
        }
        Ok(if all.iter().any(|finding| finding.verdict == Verdict::Bad) { Exit::Error } else { Exit::Done })
    }

    fn tell(&self, all: &mut Vec<Finding>, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            if self.output == Form::Table {
                let mark = match finding.verdict {
                    Verdict::Ok => "ok  ",
                    Verdict::Warn => "warn",
                    Verdict::Bad => "BAD ",
                };
                // Whoever reads no longer does not need to be told.
                let _ = show::line(&format!("{mark}  {:<22}  {}", finding.about, show::plain(&finding.said)));
            }
            all.push(finding);
        }
    }
}

/// Files that hold secrets are nobody else's to read.
fn secrets(config: &Config, environment: &Environment) -> Vec<Finding> {
    let named = environment.beginning_with("TASKER__").filter(|(name, _)| name.ends_with("_FILE"));
    let named = named.filter(|(name, _)| !name.ends_with("__KEY_FILE"));
    let mut files: Vec<(String, PathBuf)> =
        named.map(|(name, path)| (name.to_owned(), PathBuf::from(path))).collect();
    let clients = config.identity.clients.iter();
    files.extend(clients.map(|client| (format!("client {}", client.id), client.secret_file.clone())));
    for (about, path) in [
        ("backend.tls_key", &config.backend.tls_key),
        ("identity.tls_key", &config.identity.tls_key),
        ("metrics.tls_key", &config.metrics.tls_key),
        ("identity.key_file", &config.identity.key_file),
    ] {
        files.extend(path.clone().map(|path| (about.to_owned(), path)));
    }
    files.into_iter().map(|(about, path)| private(about, &path)).collect()
}

fn private(about: String, path: &Path) -> Finding {
    let shown = path.display();
    match path.metadata() {
        // Identity makes its key file at its first start.
        Err(_) if about == "identity.key_file" => {
            Finding::new(about, Verdict::Ok, format!("{shown} is made at the first start"))
        }
        Err(error) => Finding::new(about, Verdict::Bad, format!("{shown} cannot be read: {error}")),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Finding::new(about, Verdict::Warn, format!("others may read {shown}: chmod 600 {shown}"))
        }
        Ok(_) => Finding::new(about, Verdict::Ok, format!("{shown} is its owner's alone")),
    }
}

/// When what listeners show ends.
fn certificates(config: &Config) -> Vec<Finding> {
    let shown = [
        ("backend.tls_cert", &config.backend.tls_cert),
        ("identity.tls_cert", &config.identity.tls_cert),
        ("metrics.tls_cert", &config.metrics.tls_cert),
    ];
    let shown = shown.into_iter().filter_map(|(about, path)| Some((about, path.as_ref()?)));
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

/// Whether it answers, whose version its tables have, what time it thinks it is.
async fn database(about: &'static str, opened: Result<Db, impl ToString>, part: Part) -> Vec<Finding> {
    let db = match opened {
        Ok(db) => db,
        Err(error) => return vec![Finding::new(about, Verdict::Bad, error.to_string())],
    };
    let answers = probe::answers(&db).await;
    let mut findings = vec![Finding::of(about, answers)];
    if findings[0].verdict == Verdict::Ok {
        findings.push(match part.standing(&db).await {
            Ok(None) => Finding::new(about, Verdict::Warn, "it has no tables yet: `tasker migrate`, or the first start, makes them"),
            Ok(Some((found, oldest))) if oldest > part.version() => Finding::new(
                about,
                Verdict::Bad,
                format!("its tables are at version {found} and want a Tasker that knows {oldest}: this one knows {}", part.version()),
            ),
            Ok(Some((found, _))) if found < part.version() => {
                Finding::new(about, Verdict::Warn, format!("its tables are at version {found} of {}: `tasker migrate`", part.version()))
            }
            Ok(Some((found, _))) => Finding::new(about, Verdict::Ok, format!("its tables are at version {found}")),
            Err(error) => Finding::new(about, Verdict::Bad, domain::chain(&error)),
        });
        findings.extend(clock(about, &db).await);
    }
    db.close().await;
    findings
}

/// SQLite has our clock.
async fn clock(about: &'static str, db: &Db) -> Option<Finding> {
    let offset = probe::clock_offset(&Store::new(db.clone(), Clock::System)).await?;
    let said = format!("its clock is {offset:+.3} s from ours");
    let verdict = if offset.abs() > SKEW.as_secs_f64() { Verdict::Warn } else { Verdict::Ok };
    Some(Finding::new(about, verdict, said))
}

/// How much room there is beside a SQLite database.
fn room(config: &Config) -> Option<Finding> {
    let path = config.database_url().ok().and_then(Db::sqlite_path)?;
    let directory = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
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
