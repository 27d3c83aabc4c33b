//! Which server the commands talk to, and as whom: the `tasker up` of a data directory, or a token and an address.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use client::{Client, Credentials, Settings};

use crate::config::{Address, BadConfig, Environment, authorities};
use crate::data_dir::{ACCOUNT, DataDir};

/// The variable that may hold the token, where a flag would show it to every user of the machine.
const TOKEN: &str = "TASKER_TOKEN";

/// The variable that may name the file of authorities.
const TLS_CA: &str = "TASKER_TLS_CA";

/// Where to ask, and how to print the answer.
#[derive(Debug, Args)]
pub struct Server {
    /// How to print: `text` for eyes, `json` for machines
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// The data directory of a `tasker up` on this machine: its addresses and its account `local` are used
    #[arg(long, value_name = "DIR", default_value = "./.tasker")]
    data_dir: PathBuf,
    /// The Backend of another Tasker; needs a token
    #[arg(long, value_name = "URL")]
    backend_url: Option<Address>,
    /// An access token of its Identity; better put into `TASKER_TOKEN`, for a flag can be seen by others
    #[arg(long)]
    token: Option<String>,
    /// The authorities (PEM) whose certificates count, and no others; or `TASKER_TLS_CA` [default: as that `tasker up`
    /// is told, else the platform's]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// For whom the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For eyes.
    Text,
    /// For machines: what the API answered.
    Json,
}

/// There is nothing in the data directory to talk to.
#[derive(Debug)]
pub struct NoServer(PathBuf);

impl fmt::Display for NoServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no Tasker has run on {}: start one with `tasker up`, name its --data-dir, or give --backend-url and {TOKEN}",
            self.0.display()
        )
    }
}

impl Error for NoServer {}

impl Server {
    /// A client of that server; nothing is sent yet.
    pub fn connect(&self, environment: &Environment) -> Result<Client> {
        let token = self.token.as_deref().or(environment.get(TOKEN));
        let mut settings = match (&self.backend_url, token) {
            (Some(_), None) => {
                return Err(BadConfig::new(format!("--backend-url needs a token: set {TOKEN}")).into());
            }
            (Some(backend), Some(token)) => remote(backend.to_string(), token),
            (None, Some(token)) => {
                Settings { credentials: Credentials::Token(token.into()), ..self.local()? }
            }
            (None, None) => self.local()?,
        };
        if let Some(path) = &self.tls_ca {
            settings.ca = Some(authorities("--tls-ca", path)?);
        } else if let Some(path) = environment.get(TLS_CA) {
            settings.ca = Some(authorities(TLS_CA, Path::new(path))?);
        }
        Ok(Client::new(settings)?)
    }

    /// What `tasker up` left in the data directory.
    fn local(&self) -> Result<Settings> {
        let data = DataDir::at(&self.data_dir);
        let (Some(addresses), Some(secret)) = (data.addresses()?, data.secret()?) else {
            return Err(NoServer(self.data_dir.clone()).into());
        };
        let credentials = Credentials::Password {
            identity: addresses.identity,
            username: ACCOUNT.to_owned(),
            password: secret.into(),
        };
        let ca = addresses
            .tls_ca
            .map(|path| authorities("worker.tls_ca of that `tasker up`", &path))
            .transpose()?;
        Ok(Settings { backend: addresses.backend, credentials, ca })
    }
}

fn remote(backend: String, token: &str) -> Settings {
    Settings { backend, credentials: Credentials::Token(token.into()), ca: None }
}
