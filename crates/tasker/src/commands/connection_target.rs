//! The server that a client command addresses, and the credentials: a token, a sign-in, or the `tasker up` of a directory.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use client::{Client, Credentials, Settings, issuer_of_backend};
use database::ProcessClock;
use domain::Timestamp;
use secrecy::SecretString;

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
    /// Where the credentials come from.
    pub source: CredentialsSource,
}

/// Where the credentials of a command come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsSource {
    /// The option `--token`.
    TokenOption,
    /// The variable `TASKER_TOKEN`.
    TokenVariable,
    /// The stored sign-in.
    Login,
    /// The `tasker up` of this data directory.
    DataDir(PathBuf),
}

impl fmt::Display for CredentialsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TokenOption => f.write_str("--token"),
            Self::TokenVariable => f.write_str(TOKEN_VARIABLE),
            Self::Login => f.write_str("tasker login"),
            Self::DataDir(path) => write!(f, "the data directory {}", path.display()),
        }
    }
}

/// An access token that an option or a variable gives.
struct GivenToken {
    token: SecretString,
    source: CredentialsSource,
}

impl Server {
    /// A client of the server. Nothing is sent yet, except to a Backend that must say whether the sign-in is for it.
    pub async fn connect(&self, environment: &Environment) -> Result<Client> {
        Ok(Client::new(self.connection_target(environment).await?.settings)?)
    }

    /// Chooses the server and the credentials: options first, then the sign-in, then the data directory.
    pub async fn connection_target(&self, environment: &Environment) -> Result<ConnectionTarget> {
        let token = self.given_token(environment);
        let session = match (self.target.data_dir.is_none(), &token) {
            (false, _) => None,
            // A given token takes the place of that of the sign-in.
            (true, Some(_)) => SessionFile::of(environment).read()?,
            (true, None) => SessionFile::of(environment).read_fresh().await?,
        };
        let ca =
            self.target.tls_ca(environment).map(|(origin, path)| authorities(origin, path)).transpose()?;
        let mut target = match (self.target.backend(), session, token) {
            (None, Some(session), token) => {
                if token.is_none() {
                    self.note_other_account(&session)?;
                }
                of_session(session, token)?
            }
            (Some(backend), Some(session), token) if backend == session.backend => {
                of_session(session, token)?
            }
            (Some(backend), _, Some(GivenToken { token, source })) => {
                let credentials = Credentials::Token(token);
                let settings = Settings { backends: vec![backend], credentials, ca: None };
                ConnectionTarget { settings, identity: None, source }
            }
            (Some(backend), Some(session), None) => of_session_at(session, backend, ca.as_deref()).await?,
            (Some(backend), None, None) => return Err(NotSignedIn::Nobody(backend).into()),
            (None, None, token) => self.of_data_dir(token)?,
        };
        if ca.is_some() {
            target.settings.ca = ca;
        }
        Ok(target)
    }

    fn given_token(&self, environment: &Environment) -> Option<GivenToken> {
        let option = self.token.as_deref().map(|token| (token, CredentialsSource::TokenOption));
        let given =
            option.or_else(|| Some((environment.get(TOKEN_VARIABLE)?, CredentialsSource::TokenVariable)));
        // A token read from a file ends with a newline.
        given.map(|(token, source)| GivenToken { token: token.trim().into(), source })
    }

    /// Prints on a terminal which account and Backend are used, if a local `tasker up` would be a second candidate.
    fn note_other_account(&self, Session { backend, username, .. }: &Session) -> Result<()> {
        if let Some(addresses) = self.target.directory().addresses()? {
            let directory = self.target.path().display();
            terminal::print_note_on_terminal(&format!(
                "acting as {username} at {backend}, as signed in; --data-dir {directory} acts as {ACCOUNT} at {}",
                addresses.backend
            ));
        }
        Ok(())
    }

    /// The server of the `tasker up` of the data directory, with the account `local` unless there is a token.
    fn of_data_dir(&self, token: Option<GivenToken>) -> Result<ConnectionTarget> {
        let addresses = self.target.addresses()?;
        let (credentials, source) = if let Some(GivenToken { token, source }) = token {
            (Credentials::Token(token), source)
        } else {
            let password = self.target.directory().password()?;
            let Some(password) = password else { return Err(self.target.no_server().into()) };
            let (identity, username) = (addresses.identity.clone(), ACCOUNT.to_owned());
            let credentials = Credentials::Password { identity, username, password: password.into() };
            (credentials, CredentialsSource::DataDir(self.target.path().to_owned()))
        };
        let ca = addresses
            .tls_ca
            .map(|path| authorities("worker.tls_ca of that `tasker up`", &path))
            .transpose()?;
        let settings = Settings { backends: vec![addresses.backend], credentials, ca };
        Ok(ConnectionTarget { settings, identity: Some(addresses.identity), source })
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
    /// [`NoServer`] if none runs there.
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
fn of_session(session: Session, given: Option<GivenToken>) -> Result<ConnectionTarget> {
    let Session { backend, identity, username, token, expires_at, tls_ca, .. } = session;
    if given.is_none() && expires_at <= Timestamp(ProcessClock::System.now()) {
        return Err(NotSignedIn::Expired(username).into());
    }
    let ca = tls_ca.map(|path| authorities("--tls-ca of the sign-in", &path)).transpose()?;
    let GivenToken { token, source } =
        given.unwrap_or_else(|| GivenToken { token: token.into(), source: CredentialsSource::Login });
    let settings = Settings { backends: vec![backend], credentials: Credentials::Token(token), ca };
    Ok(ConnectionTarget { settings, identity: Some(identity), source })
}

/// Uses the sign-in's token at another Backend if both trust the same issuer. A token that came over TLS is never sent without TLS.
///
/// # Errors
///
/// [`NotSignedIn`] if the Backend names another issuer; or why it does not answer.
async fn of_session_at(session: Session, backend: String, ca: Option<&[u8]>) -> Result<ConnectionTarget> {
    let (issuer, was_secure) = (session.issuer.clone(), session.backend.starts_with("https:"));
    let mut target = of_session(session, None)?;
    let is_downgrade = was_secure && !backend.starts_with("https:");
    let ca = ca.or(target.settings.ca.as_deref());
    if is_downgrade || issuer_of_backend(&backend, ca).await?.as_ref() != Some(&issuer) {
        return Err(NotSignedIn::Nobody(backend).into());
    }
    target.settings.backends = vec![backend];
    Ok(target)
}
