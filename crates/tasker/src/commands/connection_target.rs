//! The server that a client command addresses, and the credentials: a token, a sign-in, or the `tasker up` of a directory.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use client::{Client, Credentials, Settings};
use database::ProcessClock;
use domain::Timestamp;

use crate::command_error::{NoServer, NotSignedIn};
use crate::commands::output::OutputFormat;
use crate::commands::session_file::{Session, SessionFile};
use crate::config::environment::Environment;
use crate::config::tls::authorities;
use crate::config::values::Address;
use crate::data_dir::{ACCOUNT, Addresses, DEFAULT_DATA_DIR, DataDir};
use crate::terminal;

/// The variable that may hold the token; other users of the machine can see an option in the list of processes.
const TOKEN_VARIABLE: &str = "TASKER_TOKEN";

/// The variable that may name the file of authorities.
const TLS_CA_VARIABLE: &str = "TASKER_TLS_CA";

/// Options of commands that send requests: the server, the credentials and the output format.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Server and account (a token, else --data-dir, else the sign-in, else ./.tasker)"
)]
pub struct Server {
    /// Output format: `table` for people, `json` for programs, `id` for the next command
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,
    #[command(flatten)]
    pub target: Target,
    /// An access token; prefer `TASKER_TOKEN`, because other users can see options
    #[arg(long)]
    token: Option<String>,
}

/// Options that name a server.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The data directory of a `tasker up` on this machine: its addresses and its account `local` are used
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The URL of another Backend
    #[arg(long, value_name = "URL")]
    backend_url: Option<Address>,
    /// The only certificate authorities to trust (PEM); or `TASKER_TLS_CA` [default: those of the sign-in or of that
    /// `tasker up`, else the platform's]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// The server of a command with the credentials for it.
pub struct ConnectionTarget {
    /// The Backend's URL, the credentials and the trusted authorities.
    pub settings: Settings,
    /// The URL of Identity, if it is known.
    pub identity: Option<String>,
}

impl Server {
    /// A client of the server; nothing is sent yet.
    pub fn connect(&self, environment: &Environment) -> Result<Client> {
        Ok(Client::new(self.connection_target(environment)?.settings)?)
    }

    /// Chooses the server and the credentials: options first, then the sign-in, then the data directory.
    pub fn connection_target(&self, environment: &Environment) -> Result<ConnectionTarget> {
        // A token read from a file ends with a newline.
        let token = self.token.as_deref().or(environment.get(TOKEN_VARIABLE)).map(str::trim);
        let session = SessionFile::of(environment).read()?.filter(|_| self.target.data_dir.is_none());
        let backend = self.target.backend();
        let session =
            session.filter(|session| backend.as_ref().is_none_or(|backend| *backend == session.backend));
        let mut target = match (backend, session) {
            (backend, Some(session)) => {
                if backend.is_none() {
                    self.note_other_server(&session)?;
                }
                of_session(session, token)?
            }
            (Some(backend), None) => {
                let Some(token) = token else { return Err(NotSignedIn::Nobody(backend).into()) };
                let settings = Settings { backend, credentials: Credentials::Token(token.into()), ca: None };
                ConnectionTarget { settings, identity: None }
            }
            (None, None) => self.of_data_dir(token)?,
        };
        if let Some((origin, path)) = self.target.tls_ca(environment) {
            target.settings.ca = Some(authorities(origin, path)?);
        }
        Ok(target)
    }

    /// Says where the command acts if the sign-in is for another server than the `tasker up` of the data directory.
    fn note_other_server(&self, session: &Session) -> Result<()> {
        if let Some(addresses) = self.target.directory().addresses()?
            && addresses.backend != session.backend
        {
            let Session { backend, username, .. } = session;
            let directory = self.target.path().display();
            terminal::print_note(&format!(
                "acting as {username} at {backend}, as signed in; --data-dir {directory} acts as {ACCOUNT} at {}",
                addresses.backend
            ));
        }
        Ok(())
    }

    /// The server of the `tasker up` of the data directory, with the account `local` unless there is a token.
    fn of_data_dir(&self, token: Option<&str>) -> Result<ConnectionTarget> {
        let addresses = self.target.addresses()?;
        let credentials = if let Some(token) = token {
            Credentials::Token(token.into())
        } else {
            let password = self.target.directory().password()?;
            let Some(password) = password else { return Err(self.target.no_server().into()) };
            let identity = addresses.identity.clone();
            Credentials::Password { identity, username: ACCOUNT.to_owned(), password: password.into() }
        };
        let ca = addresses
            .tls_ca
            .map(|path| authorities("worker.tls_ca of that `tasker up`", &path))
            .transpose()?;
        let settings = Settings { backend: addresses.backend, credentials, ca };
        Ok(ConnectionTarget { settings, identity: Some(addresses.identity) })
    }
}

impl Target {
    /// The URL of `--backend-url`.
    pub fn backend(&self) -> Option<String> {
        self.backend_url.as_ref().map(ToString::to_string)
    }

    /// The file of authorities, and the option or variable that names it.
    pub fn tls_ca<'a>(&'a self, environment: &'a Environment) -> Option<(&'static str, &'a Path)> {
        let option = self.tls_ca.as_deref().map(|path| ("--tls-ca", path));
        option.or_else(|| environment.get(TLS_CA_VARIABLE).map(|path| (TLS_CA_VARIABLE, Path::new(path))))
    }

    /// The addresses of the `tasker up` of the data directory.
    ///
    /// # Errors
    ///
    /// [`NoServer`] if none has run there.
    pub fn addresses(&self) -> Result<Addresses> {
        self.directory().addresses()?.ok_or_else(|| self.no_server().into())
    }

    fn directory(&self) -> DataDir {
        DataDir::at(self.path())
    }

    fn path(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(DEFAULT_DATA_DIR))
    }

    fn no_server(&self) -> NoServer {
        NoServer(self.path().to_owned())
    }
}

/// The server of a sign-in, with its token unless another is given.
fn of_session(session: Session, token: Option<&str>) -> Result<ConnectionTarget> {
    let Session { backend, identity, username, token: session_token, expires_at, tls_ca } = session;
    if token.is_none() && expires_at <= Timestamp(ProcessClock::System.now()) {
        return Err(NotSignedIn::Expired(username).into());
    }
    let ca = tls_ca.map(|path| authorities("--tls-ca of the sign-in", &path)).transpose()?;
    let credentials = Credentials::Token(token.map_or_else(|| session_token.into(), Into::into));
    Ok(ConnectionTarget { settings: Settings { backend, credentials, ca }, identity: Some(identity) })
}
