//! `tasker passwd`: another password for the own account.

use std::io::stdin;

use anyhow::{Context, Result};
use clap::Args;
use client::AccountsClient;
use database::ProcessClock;
use domain::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::commands::account::login::type_password;
use crate::commands::connection_target::Server;
use crate::commands::session_file::SessionFile;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::terminal;
use crate::text_file;

/// Options of `tasker passwd`.
#[derive(Debug, Args)]
pub struct Passwd {
    /// Read the current and the new password from standard input, each on a line of its own
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    server: Server,
}

impl Passwd {
    /// Changes the password at Identity, and signs in again if the command has acted as the account of the session file.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let owner = self.server.token_owner(environment, None).await?;
        if owner.is_local {
            let rule = "the account `local` has its password in the data directory: sign in with `tasker login` to change yours";
            return Err(ConfigError::new(rule).into());
        }
        let name = owner.identity.user_info(&owner.token).await?.name;
        let (current, new) = self.passwords(&name)?;
        let accounts = AccountsClient::new(owner.identity.clone(), owner.token.clone());
        accounts.change_password(&name, &current, &new).await?;
        let session_file = SessionFile::of(environment);
        let session = session_file.read()?.filter(|session| session.token == owner.token.expose_secret());
        if let Some(mut session) = session {
            let requested_at = Timestamp(ProcessClock::System.now());
            let signed_in = owner.identity.sign_in(&name, &new).await?;
            signed_in.token.expose_secret().clone_into(&mut session.token);
            session.expires_at = requested_at.plus_micros(signed_in.lifetime_micros());
            session_file.write(&session)?;
        }
        terminal::print_note(&format!("the password of {name} is changed; tokens from before are revoked"));
        Ok(())
    }

    /// The current and the new password.
    fn passwords(&self, name: &str) -> Result<(SecretString, SecretString)> {
        if self.password_stdin {
            let text = text_file::read_from(stdin()).context("the passwords cannot be read")?;
            let mut lines = text.lines().map(SecretString::from);
            let (Some(current), Some(new)) = (lines.next(), lines.next()) else {
                return Err(ConfigError::new(
                    "standard input must have the current and the new password on two lines",
                )
                .into());
            };
            return Ok((current, new));
        }
        let current = type_password(&format!("Current password of {name}: "))?;
        let new = type_password("New password: ")?;
        let again = type_password("The same password again: ")?;
        if new.expose_secret() != again.expose_secret() {
            return Err(ConfigError::new("the two passwords differ").into());
        }
        Ok((current, new))
    }
}
