//! Identity: accounts, the pages on which they are made and used, and the OAuth 2 endpoints that turn them into
//! tokens. Its door is [`Identity`]; every route is in [`Identity::router`].

mod accounts;
mod admin_api;
mod app;
mod authentication;
mod health;
mod http;
mod keys;
mod layers;
mod maintenance;
mod metrics;
mod oauth;
mod pages;
mod role;
mod schema;
mod secret_token;
mod settings;
mod sign_in;
mod time;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, patch, post};
use database::{Clock, DatabaseError, Db};
use tokio_util::sync::CancellationToken;

use crate::accounts::registration_tokens::Kind;
use crate::accounts::username::UserName;
use crate::app::App;

pub use crate::accounts::username::InvalidName;
pub use crate::authentication::password_hashing::HashingQueueFull;
pub use crate::keys::key_ring::{KeyError, KeyFileState, check_key_file};
pub use crate::metrics::{COUNTERS, HISTOGRAMS};
pub use crate::role::Role;
pub use crate::schema::ACCOUNTS;
pub use crate::settings::{Client, InvalidSetting, OpenRegistration, Settings};

/// A cheap handle on an Identity.
#[derive(Clone)]
pub struct Identity(Arc<App>);

/// Why an Identity does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting makes no sense.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The database failed, or its schema is too new.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    KeyRing(#[from] KeyError),
}

/// Why an account could not be made or given its password.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// No account may have this name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Too many passwords are being hashed already.
    #[error(transparent)]
    HashingQueueFull(#[from] HashingQueueFull),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Identity {
    /// Migrates the tables and opens the signing keys; at the very first start it makes the key file and one key.
    pub async fn open(db: Db, settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        App::open(db, settings, clock).await.map(|app| Self(Arc::new(app)))
    }

    /// Every route of Identity. Serve it with connect info: callers are told apart by their address.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            // pages
            .route("/", get(pages::home))
            .route("/auth/register", get(pages::register_form).post(pages::register))
            .route("/auth/login", get(pages::login_form).post(pages::login))
            .route("/auth/logout", post(pages::logout))
            .route("/auth/invite", post(pages::invite))
            .route("/assets/identity.css", get(pages::style))
            .route("/assets/mark.svg", get(pages::mark))
            // programs
            .route("/connect/token", post(oauth::token))
            .route("/connect/userinfo", get(oauth::userinfo).post(oauth::userinfo))
            .route("/.well-known/openid-configuration", get(oauth::metadata))
            .route("/.well-known/openid-configuration/jwks", get(oauth::jwks))
            .route("/.well-known/oauth-authorization-server", get(oauth::metadata))
            // administrators
            .route("/api/user", get(admin_api::users::list).post(admin_api::users::add))
            .route("/api/user/{name}", patch(admin_api::users::change))
            .route("/api/user/{name}/reset", post(admin_api::users::reset))
            .route("/api/invitation", post(admin_api::users::invite))
            // operators
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .fallback(pages::not_found)
            .with_state(Arc::clone(&self.0));
        layers::apply_layers(routes, &self.0)
    }

    /// While there is no administrator: a new link that makes the first one. Earlier links hold until they are used
    /// or a day old. `None` once there is an administrator.
    pub async fn setup_link(&self) -> Result<Option<String>, DatabaseError> {
        if self.0.accounts.admin_exists().await? {
            return Ok(None);
        }
        let token = self.0.registration_tokens.mint(Kind::Setup, Role::Admin, None).await?;
        Ok(Some(accounts::registration_link::register(&self.0.settings, Kind::Setup, &token)))
    }

    /// Makes the ordinary account `name` unless it exists, and sets its password. The rules for passwords are for
    /// people: this one comes from the operator.
    pub async fn ensure_account(&self, name: &str, password: &str) -> Result<(), EnsureError> {
        let name = UserName::parse(name)?;
        let (_place, hash) = self.0.hashing.place().await?.hash(password.to_owned()).await;
        Ok(self.0.accounts.ensure(&name, &hash).await?)
    }

    /// One round of keeping house: keys are announced and retired, what has expired is forgotten.
    pub async fn run_maintenance_once(&self) -> Result<(), OpenError> {
        maintenance::round(&self.0).await
    }

    /// Keeps house until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        maintenance::run(&self.0, &stop).await;
    }
}
