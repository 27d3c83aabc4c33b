//! Which server the commands talk to, and as whom: a token, a sign-in, or the `tasker up` of a data directory.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use client::{Client, Credentials, Settings};
use database::Clock;
use domain::Timestamp;

use crate::commands::account::session_file::{Place, Session};
use crate::commands::output::Output;
use crate::config::{Address, Environment, authorities};
use crate::data_dir::{ACCOUNT, Addresses, DataDir};

/// The variable that may hold the token, where a flag would show it to every user of the machine.
const TOKEN: &str = "TASKER_TOKEN";

/// The variable that may name the file of authorities.
const TLS_CA: &str = "TASKER_TLS_CA";

/// Where a `tasker up` keeps its data if it is told nothing else.
const HERE: &str = "./.tasker";

/// Where to ask, and how to print the answer.
#[derive(Debug, Args)]
#[command(next_help_heading = "Whom to ask (a token, else --data-dir, else the sign-in, else ./.tasker)")]
pub struct Server {
    /// How to print: `table` for eyes, `json` for machines, `id` for the next command
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    pub at: At,
    /// An access token; better put into `TASKER_TOKEN`, for a flag can be seen by others
    #[arg(long)]
    token: Option<String>,
}

/// Where to ask.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// The data directory of a `tasker up` on this machine: its addresses and its account `local` are used
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The Backend of another Tasker
    #[arg(long, value_name = "URL")]
    backend_url: Option<Address>,
    /// The authorities (PEM) whose certificates count, and no others; or `TASKER_TLS_CA` [default: as at the sign-in,
    /// or as that `tasker up` is told, else the platform's]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// There is nothing in the data directory to talk to.
#[derive(Debug)]
pub struct NoServer(PathBuf);

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no Tasker has run on {}: start one with `tasker up`, name its --data-dir, or sign in to another with \
             `tasker login NAME --backend-url URL --identity-url URL`",
            self.0.display()
        )
    }
}

impl Error for NoServer {}

/// Nobody is signed in there.
#[derive(Debug)]
pub enum NotSignedIn {
    /// Nobody ever was.
    Nobody(String),
    /// The token has ended.
    Ended(String),
}

impl fmt::Display for NotSignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(backend) => {
                write!(f, "nobody is signed in at {backend}: use `tasker login`, or put a token into {TOKEN}")
            }
            Self::Ended(username) => {
                write!(f, "the sign-in of {username} has ended: use `tasker login` again")
            }
        }
    }
}

impl Error for NotSignedIn {}

/// Whom the commands talk to, and as whom.
pub struct Standing {
    /// The Backend, the credentials and the authorities.
    pub settings: Settings,
    /// Where the account is, if that is known.
    pub identity: Option<String>,
}

impl Server {
    /// A client of that server; nothing is sent yet.
    pub fn connect(&self, environment: &Environment) -> Result<Client> {
        Ok(Client::new(self.standing(environment)?.settings)?)
    }

    /// Whom the commands talk to, and as whom.
    pub fn standing(&self, environment: &Environment) -> Result<Standing> {
        // From a file it comes with the end of its line.
        let token = self.token.as_deref().or(environment.get(TOKEN)).map(str::trim);
        let session = Place::of(environment).read()?.filter(|_| self.at.data_dir.is_none());
        let wanted = self.at.backend_url.as_ref().map(ToString::to_string);
        let session =
            session.filter(|session| wanted.as_ref().is_none_or(|wanted| *wanted == session.backend));
        let mut standing = match (wanted, session) {
            (_, Some(session)) => of(session, token)?,
            (Some(backend), None) => {
                let Some(token) = token else { return Err(NotSignedIn::Nobody(backend).into()) };
                let settings = Settings { backend, credentials: Credentials::Token(token.into()), ca: None };
                Standing { settings, identity: None }
            }
            (None, None) => self.local(token)?,
        };
        if let Some((origin, path)) = self.at.tls_ca(environment) {
            standing.settings.ca = Some(authorities(origin, path)?);
        }
        Ok(standing)
    }

    /// What `tasker up` left in the data directory.
    fn local(&self, token: Option<&str>) -> Result<Standing> {
        let addresses = self.at.local()?;
        let credentials = if let Some(token) = token {
            Credentials::Token(token.into())
        } else {
            let Some(secret) = self.at.data().secret()? else { return Err(self.at.nobody().into()) };
            let identity = addresses.identity.clone();
            Credentials::Password { identity, username: ACCOUNT.to_owned(), password: secret.into() }
        };
        let ca = addresses
            .tls_ca
            .map(|path| authorities("worker.tls_ca of that `tasker up`", &path))
            .transpose()?;
        let settings = Settings { backend: addresses.backend, credentials, ca };
        Ok(Standing { settings, identity: Some(addresses.identity) })
    }
}

impl At {
    /// The Backend that was named.
    pub fn backend(&self) -> Option<String> {
        self.backend_url.as_ref().map(ToString::to_string)
    }

    /// The file of authorities that was named, and what named it.
    pub fn tls_ca<'a>(&'a self, environment: &'a Environment) -> Option<(&'static str, &'a Path)> {
        let flag = self.tls_ca.as_deref().map(|path| ("--tls-ca", path));
        flag.or_else(|| environment.get(TLS_CA).map(|path| (TLS_CA, Path::new(path))))
    }

    /// Where the `tasker up` of the data directory listens.
    pub fn local(&self) -> Result<Addresses> {
        self.data().addresses()?.ok_or_else(|| self.nobody().into())
    }

    fn data(&self) -> DataDir {
        DataDir::at(self.path())
    }

    fn path(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(HERE))
    }

    fn nobody(&self) -> NoServer {
        NoServer(self.path().to_owned())
    }
}

/// As whoever is signed in, unless there is a `token` of somebody else.
fn of(session: Session, token: Option<&str>) -> Result<Standing> {
    let Session { backend, identity, username, token: own, ends, tls_ca } = session;
    if token.is_none() && ends <= Timestamp(Clock::System.now()) {
        return Err(NotSignedIn::Ended(username).into());
    }
    let ca = tls_ca.map(|path| authorities("--tls-ca of the sign-in", &path)).transpose()?;
    let credentials = Credentials::Token(token.map_or_else(|| own.into(), Into::into));
    Ok(Standing { settings: Settings { backend, credentials, ca }, identity: Some(identity) })
}
