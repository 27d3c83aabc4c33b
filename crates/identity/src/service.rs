//! The service: how Identity is opened, and what it does by itself.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use database::{DatabaseError, Db, ProcessClock};
use tokio_util::sync::CancellationToken;

use crate::accounts::account_password::PasswordRight;
use crate::accounts::account_store::AccountStore;
use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::accounts::username::UserName;
use crate::app::App;
use crate::authentication::lockout::Lockout;
use crate::error::{EnsureError, OpenError};
use crate::settings::Settings;
use crate::{maintenance, routes};

/// The Identity service. Clones are cheap and share one state.
#[derive(Clone)]
pub struct Identity(Arc<App>);

impl Identity {
    /// Migrates the tables and decrypts the signing keys. The very first start creates the key file and one key.
    pub async fn open(db: Db, settings: Settings, clock: ProcessClock) -> Result<Self, OpenError> {
        App::open(db, settings, clock).await.map(|app| Self(Arc::new(app)))
    }

    /// All routes. Serve the router with connect info: rate limits tell clients apart by their address.
    pub fn router(&self) -> Router {
        routes::router(&self.0)
    }

    /// A new setup link, which registers the first administrator; `None` once there is an administrator. Earlier links
    /// stay valid until one of them is used or they are a day old.
    pub async fn setup_link(&self) -> Result<Option<String>, DatabaseError> {
        if self.0.accounts.admin_exists().await? {
            return Ok(None);
        }
        let token = self.0.registration_tokens.issue_setup().await?;
        Ok(Some(registration_link::url(&self.0.settings, Kind::Setup, &token)))
    }

    /// Creates the account `name` with the role `User` unless it exists, and sets its password unless it has it already:
    /// another password revokes the account's access tokens. The operator generates the password from random bits, so neither the rules for
    /// passwords that people choose nor the lockout after guesses apply.
    pub async fn ensure_account(&self, name: &str, password: &str) -> Result<(), EnsureError> {
        let (name, accounts) = (UserName::parse(name)?, &self.0.accounts);
        let permit =
            self.0.password_hasher.acquire(IpAddr::V4(Ipv4Addr::LOCALHOST), name.lower_case()).await?;
        if let Some((_, known)) = accounts.find(name.lower_case()).await?
            && permit.verify(password.to_owned(), known.hash).await
        {
            return Ok(());
        }
        let hash = permit.hash(password.to_owned()).await;
        if !accounts.create_by_operator(&name, &hash).await?
            && let Some((account, _)) = accounts.find(name.lower_case()).await?
        {
            accounts.set_password(account.id, &hash, PasswordRight::Operator).await?;
        }
        Ok(())
    }

    /// Runs the maintenance once: rotates the signing keys and deletes expired rows.
    pub async fn run_maintenance_once(&self) -> Result<(), OpenError> {
        maintenance::run_once(&self.0).await
    }

    /// Runs the maintenance every minute until `stop` is cancelled, then waits for the sign-ins whose password is being checked.
    pub async fn run(&self, stop: CancellationToken) {
        maintenance::run(&self.0, &stop).await;
        self.0.sign_ins.close();
        self.0.sign_ins.wait().await;
    }
}

/// Forgets the failed sign-ins of the account `name`, for the operator of the database; `false` if there is no such account.
pub async fn unlock(db: &Db, name: &str) -> Result<bool, DatabaseError> {
    let clock = ProcessClock::System;
    let account = AccountStore::new(db.clone(), clock.clone()).find(&name.to_lowercase()).await?;
    let Some((account, _)) = account else { return Ok(false) };
    Lockout::new(db.clone(), clock).unlock(account.id, None).await?;
    Ok(true)
}
