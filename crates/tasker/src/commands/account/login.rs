//! `tasker login`, `logout`, `whoami`: as whom the other commands act.

use secrecy::{ExposeSecret, SecretString};
use std::io::{IsTerminal, stderr, stdin};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use client::{Credentials, Identity, UserInfo};
use database::Clock;
use domain::Timestamp;
use serde::Serialize;

use crate::commands::account::session_file::{Place, Session};
use crate::commands::target::{At, NotSignedIn, Server, Standing};
use crate::config::{Address, ConfigError, Environment};
use crate::terminal;

/// Signs in.
#[derive(Debug, Args)]
pub struct Login {
    /// The account's name; asked for if it is not given
    #[arg(value_name = "NAME")]
    username: Option<String>,
    /// The Identity where the account is, with --backend-url [default: that of the data directory's `tasker up`]
    #[arg(long, value_name = "URL", requires = "backend_url")]
    identity_url: Option<Address>,
    /// Read the password from standard input, to its end or to the first new line
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    at: At,
}

/// Says as whom the commands act.
#[derive(Debug, Args)]
pub struct Whoami {
    /// The Identity of the token, where it is not known otherwise
    #[arg(long, value_name = "URL")]
    identity_url: Option<Address>,
    #[command(flatten)]
    server: Server,
}

/// The answer of `whoami`.
#[derive(Serialize)]
struct Acting {
    #[serde(flatten)]
    who: UserInfo,
    backend: String,
    identity: String,
}

impl Login {
    /// Gets a token and keeps it.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let place = Place::of(environment);
        let (backend, identity, tls_ca) = self.addresses(environment)?;
        let ca = tls_ca.as_deref().map(|path| crate::config::authorities("--tls-ca", path)).transpose()?;
        let username = self.username()?;
        let password = self.password(&username)?;
        let asked = Timestamp(Clock::System.now());
        let signed_in = Identity::at(&identity, ca.as_deref())?.sign_in(&username, &password).await?;
        let ends = asked.plus_micros(i64::try_from(signed_in.life.as_micros()).unwrap_or(i64::MAX));
        let token = signed_in.token.expose_secret().to_owned();
        let tls_ca = tls_ca.map(std::path::absolute).transpose()?;
        place.write(&Session {
            backend: backend.clone(),
            identity,
            username: username.clone(),
            token,
            ends,
            tls_ca,
        })?;
        terminal::note(&format!(
            "signed in as {username} at {backend}, for {} min",
            signed_in.life.as_secs() / 60
        ));
        Ok(())
    }

    fn addresses(&self, environment: &Environment) -> Result<(String, String, Option<PathBuf>)> {
        let tls_ca = self.at.tls_ca(environment).map(|(_, path)| path.to_owned());
        match (self.at.backend(), &self.identity_url) {
            (Some(backend), Some(identity)) => Ok((backend, identity.to_string(), tls_ca)),
            (Some(_), None) => {
                Err(ConfigError::new("--backend-url needs --identity-url: where is the account?").into())
            }
            (None, _) => {
                let addresses = self.at.local()?;
                Ok((addresses.backend, addresses.identity, tls_ca.or(addresses.tls_ca)))
            }
        }
    }

    fn username(&self) -> Result<String> {
        if let Some(name) = &self.username {
            return Ok(name.clone());
        }
        if !stdin().is_terminal() || self.password_stdin {
            return Err(ConfigError::new("whose account? tasker login NAME").into());
        }
        terminal::prompt("Name: ");
        let mut name = String::new();
        stdin().read_line(&mut name).context("the name cannot be read")?;
        Ok(name.trim().to_owned())
    }

    fn password(&self, username: &str) -> Result<SecretString> {
        if self.password_stdin {
            return read_password();
        }
        if !stdin().is_terminal() || !stderr().is_terminal() {
            return Err(
                ConfigError::new("a password is typed on a terminal, or read with --password-stdin").into()
            );
        }
        let typed = rpassword::prompt_password(format!("Password of {username}: "));
        Ok(typed.context("the password cannot be read")?.into())
    }
}

/// Forgets the sign-in. Its token counts until it ends, for those who have it.
pub fn logout(environment: &Environment) -> Result<()> {
    let was_there = Place::of(environment).clear()?;
    terminal::note(if was_there { "signed out" } else { "nobody was signed in" });
    Ok(())
}

/// Read from standard input, to its end or to the first new line.
pub(crate) fn read_password() -> Result<SecretString> {
    let text = std::io::read_to_string(stdin()).context("the password cannot be read")?;
    Ok(text.lines().next().unwrap_or_default().into())
}

/// Whose token the commands carry, as its Identity can tell.
pub(crate) struct Identified {
    pub(crate) identity: Identity,
    pub(crate) token: SecretString,
    /// Where that Identity is.
    address: String,
    /// The Backend that the commands ask.
    backend: String,
}

impl Server {
    /// Which Identity, and by whose token. `named`: an Identity that was named for this command.
    pub(crate) async fn identified(
        &self,
        environment: &Environment,
        named: Option<&Address>,
    ) -> Result<Identified> {
        let Standing { settings, identity } = self.standing(environment)?;
        let Some(address) = named.map(ToString::to_string).or(identity) else {
            let lost = "whose token is it? sign in with `tasker login`, which knows the Identity";
            return Err(ConfigError::new(lost).into());
        };
        let identity = Identity::at(&address, settings.ca.as_deref())?;
        let token = match settings.credentials {
            Credentials::Token(token) => token,
            Credentials::Password { username, password, .. } => {
                identity.sign_in(&username, &password).await?.token
            }
            Credentials::Client { id, .. } => return Err(NotSignedIn::Ended(id).into()),
        };
        Ok(Identified { identity, token, address, backend: settings.backend })
    }
}

impl Whoami {
    /// Asks Identity, and prints.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let found = self.server.identified(environment, self.identity_url.as_ref()).await?;
        let who = found.identity.who(&found.token).await?;
        let acting = Acting { who, backend: found.backend, identity: found.address };
        let table = |Acting { who, backend, .. }: &Acting| {
            format!("{} ({}) at {backend}", terminal::plain(&who.name), who.roles.join(", "))
        };
        self.server.output.print(&acting, table, |acting| vec![acting.who.name.clone()])?;
        Ok(())
    }
}
