//! `tasker login`, `logout` and `whoami`: the account as which the other commands act.

use std::io::{IsTerminal, stderr, stdin};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use client::{AccessToken, Credentials, IdentityClient, UserInfo, issuer_of_backend};
use database::ProcessClock;
use domain::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::command_error::NotSignedIn;
use crate::commands::account::provider_sign_in;
use crate::commands::connection_target::{ConnectionTarget, CredentialsSource, Server, Target};
use crate::commands::session_file::{CLIENT_ID, Session, SessionFile};
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::tls::authorities;
use crate::config::values::Address;
use crate::terminal;
use crate::text_file;

/// Options of `tasker login`.
#[derive(Debug, Args)]
pub struct Login {
    /// The account's name, to sign in with its password instead of a browser
    #[arg(value_name = "NAME", conflicts_with = "device")]
    username: Option<String>,
    /// Sign in on another device: shows an address and a code
    #[arg(long)]
    device: bool,
    /// The Identity of the account, with --backend-url [default: that of the data directory's `tasker up`]
    #[arg(long, value_name = "URL", requires = "backend_url")]
    identity_url: Option<Address>,
    /// Read the password from standard input, up to its end or the first newline
    #[arg(long, requires = "username")]
    password_stdin: bool,
    #[command(flatten)]
    target: Target,
}

/// Options of `tasker whoami`.
#[derive(Debug, Args)]
pub struct Whoami {
    /// The Identity that issued the token, if it is not known otherwise
    #[arg(long, value_name = "URL")]
    identity_url: Option<Address>,
    #[command(flatten)]
    server: Server,
}

/// The answer of `tasker whoami`.
#[derive(Serialize)]
struct WhoamiAnswer {
    #[serde(flatten)]
    user: UserInfo,
    backend: String,
    identity: String,
    issuer: String,
    source: String,
}

impl Login {
    /// Requests a token and stores it in the session file, unless the Backend accepts the tokens of another issuer.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let session_file = SessionFile::of(environment);
        let (backend, identity, tls_ca) = self.addresses(environment)?;
        let ca = tls_ca.as_deref().map(|path| authorities("--tls-ca", path)).transpose()?;
        let client = IdentityClient::new(&identity, ca.as_deref())?;
        let requested_at = Timestamp(ProcessClock::System.now());
        let (signed_in, username, issuer) = self.sign_in(&client).await?;
        // A Backend that does not answer now may be started later.
        if let Ok(Some(accepted)) = issuer_of_backend(&backend, ca.as_deref()).await
            && accepted != issuer
        {
            return Err(ConfigError::new(format!(
                "the Backend {backend} accepts the tokens of {accepted} and not those of {issuer}: name its Identity with \
                 --identity-url"
            ))
            .into());
        }
        session_file.write(&Session {
            backend: backend.clone(),
            identity,
            issuer,
            username: username.clone(),
            token: signed_in.token.expose_secret().to_owned(),
            refresh_token: signed_in.refresh_token.as_ref().map(|token| token.expose_secret().to_owned()),
            // A person may have taken a while in the browser: the token is younger than the request.
            expires_at: requested_at.plus_micros(signed_in.lifetime_micros()),
            tls_ca: tls_ca.map(std::path::absolute).transpose()?,
        })?;
        let how_long = match signed_in.refresh_token {
            Some(_) => "until `tasker logout`".to_owned(),
            None => format!("for {} min", signed_in.lifetime.as_secs() / 60),
        };
        terminal::print_note(&format!("signed in as {username} at {backend}, {how_long}"));
        Ok(())
    }

    /// A token in the way that the options say, the name of its account, and its issuer.
    async fn sign_in(&self, client: &IdentityClient) -> Result<(AccessToken, String, String)> {
        if let Some(name) = &self.username {
            let password = self.password(name)?;
            let signed_in = client.sign_in(name, &password).await?;
            return Ok((signed_in, name.clone(), client.issuer().await?));
        }
        let provider = client.provider().await?;
        let signed_in = if self.device {
            provider_sign_in::on_another_device(client, &provider).await?
        } else {
            provider_sign_in::in_browser(client, &provider).await?
        };
        let user = client.user_info(&signed_in.token).await?;
        Ok((signed_in, user.name, provider.issuer))
    }

    /// The URLs of Backend and Identity, and the file of authorities.
    fn addresses(&self, environment: &Environment) -> Result<(String, String, Option<PathBuf>)> {
        let tls_ca = self.target.tls_ca(environment).map(|(_, path)| path.to_owned());
        match (self.target.backend(), &self.identity_url) {
            (Some(backend), Some(identity)) => Ok((backend, identity.to_string(), tls_ca)),
            (Some(_), None) => Err(ConfigError::new(
                "--backend-url needs --identity-url, the address of the Identity that has the account",
            )
            .into()),
            (None, _) => {
                let addresses = self.target.addresses()?;
                Ok((addresses.backend, addresses.identity, tls_ca.or(addresses.tls_ca)))
            }
        }
    }

    fn password(&self, username: &str) -> Result<SecretString> {
        if self.password_stdin {
            return read_password();
        }
        type_password(&format!("Password of {username}: "))
    }
}

/// Runs `tasker logout`: ends the sign-in at Identity and removes the session file. A token for a password stays valid until it expires.
pub async fn logout(environment: &Environment) -> Result<()> {
    let file = SessionFile::of(environment);
    let session = file.read()?;
    let was_signed_in = file.remove()?;
    if let Some(session) = session
        && let Err(error) = end(&session).await
    {
        terminal::print_note(&format!("the sign-in could not be ended at {}: {error:#}", session.identity));
    }
    terminal::print_note(if was_signed_in { "signed out" } else { "nobody was signed in" });
    Ok(())
}

/// Ends the refresh token of a sign-in.
async fn end(session: &Session) -> Result<()> {
    let Some(token) = &session.refresh_token else { return Ok(()) };
    let identity = session.identity_client()?;
    let provider = identity.provider().await?;
    identity.revoke(&provider, CLIENT_ID, &token.as_str().into()).await?;
    Ok(())
}

/// Options of `tasker token`.
#[derive(Debug, Args)]
pub struct Token {
    #[command(flatten)]
    server: Server,
}

impl Token {
    /// Prints an access token of the account as which the other commands act, valid for a while.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let TokenOwner { token, .. } = self.server.token_owner(environment, None).await?;
        terminal::print_line(token.expose_secret())?;
        Ok(())
    }
}

/// Reads a password from standard input, up to its end or the first newline.
pub fn read_password() -> Result<SecretString> {
    let text = text_file::read_from(stdin()).context("the password cannot be read")?;
    Ok(text.lines().next().unwrap_or_default().into())
}

/// Asks for a password on the terminal, which does not show it. Fails without a terminal.
pub fn type_password(question: &str) -> Result<SecretString> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        let rule = "a password can be typed on a terminal only; without one use --password-stdin";
        return Err(ConfigError::new(rule).into());
    }
    Ok(rpassword::prompt_password(question).context("the password cannot be read")?.into())
}

/// A token with the Identity that issued it.
pub struct TokenOwner {
    /// The Identity that issued the token.
    pub identity: IdentityClient,
    /// The access token.
    pub token: SecretString,
    /// Whether it is the token of the account `local`, whose password is in the data directory.
    pub is_local: bool,
    /// The URL of that Identity.
    address: String,
    /// The URL of the Backend that the commands address.
    backend: String,
    /// Where the token comes from.
    source: CredentialsSource,
}

impl Server {
    /// The token of the commands with its Identity, which `identity_url` or else the Backend names if it is not known otherwise.
    pub async fn token_owner(
        &self,
        environment: &Environment,
        identity_url: Option<&Address>,
    ) -> Result<TokenOwner> {
        let ConnectionTarget { settings, identity, source } = self.connection_target(environment).await?;
        let address = match identity_url.map(ToString::to_string).or(identity) {
            Some(address) => address,
            None => {
                issuer_of_backend(&settings.backends[0], settings.ca.as_deref()).await?.ok_or_else(|| {
                    ConfigError::new("the Identity of the token is not known: sign in with `tasker login`")
                })?
            }
        };
        let identity = IdentityClient::new(&address, settings.ca.as_deref())?;
        let (token, is_local) = match settings.credentials {
            Credentials::Token(token) => (token, false),
            Credentials::Password { username, password, .. } => {
                (identity.sign_in(&username, &password).await?.token, true)
            }
            Credentials::Client { id, .. } => return Err(NotSignedIn::Expired(id).into()),
        };
        Ok(TokenOwner { identity, token, is_local, address, backend: settings.backends[0].clone(), source })
    }
}

impl Whoami {
    /// Requests the account of the token from Identity and prints it.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let owner = self.server.token_owner(environment, self.identity_url.as_ref()).await?;
        let user = owner.identity.user_info(&owner.token).await?;
        let (issuer, source) = (owner.identity.issuer().await?, owner.source.to_string());
        let answer = WhoamiAnswer { user, backend: owner.backend, identity: owner.address, issuer, source };
        let table = |WhoamiAnswer { user, backend, issuer, source, .. }: &WhoamiAnswer| {
            let name = terminal::escape_line(&user.name);
            let roles = terminal::escape_line(&user.roles.join(", ")).into_owned();
            format!(
                "name     {name}\nroles    {roles}\nBackend  {backend}\nissuer   {issuer}\nfrom     {source}"
            )
        };
        self.server.output.print(&answer, table, |answer| vec![answer.user.name.clone()])?;
        Ok(())
    }
}
