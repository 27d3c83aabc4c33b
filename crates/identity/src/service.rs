//! The service: how Identity is opened, which routes it has, and what it does by itself.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, patch, post};
use database::{Clock, DatabaseError, Db};
use tokio_util::sync::CancellationToken;

use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::accounts::username::UserName;
use crate::admin_api::{invitations, users};
use crate::app::App;
use crate::error::{EnsureError, OpenError};
use crate::oauth::{discovery, token, userinfo};
use crate::pages::{assets, error, home, invite, login, logout, register};
use crate::role::Role;
use crate::settings::Settings;
use crate::{health, layers, maintenance};

/// The Identity service. Clones are cheap and share one state.
#[derive(Clone)]
pub struct Identity(Arc<App>);

impl Identity {
    /// Migrates the tables and decrypts the signing keys. The very first start creates the key file and one key.
    pub async fn open(db: Db, settings: Settings, clock: Clock) -> Result<Self, OpenError> {
        App::open(db, settings, clock).await.map(|app| Self(Arc::new(app)))
    }

    /// All routes. Serve the router with connect info: rate limits tell clients apart by their address.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            // pages
            .route("/", get(home::show))
            .route("/auth/register", get(register::show).post(register::submit))
            .route("/auth/login", get(login::show).post(login::submit))
            .route("/auth/logout", post(logout::submit))
            .route("/auth/invite", post(invite::submit))
            .route("/assets/identity.css", get(assets::style))
            .route("/assets/logo.svg", get(assets::logo))
            // OAuth clients
            .route("/connect/token", post(token::issue))
            .route("/connect/userinfo", get(userinfo::show).post(userinfo::show))
            .route("/.well-known/openid-configuration", get(discovery::metadata))
            .route("/.well-known/openid-configuration/jwks", get(discovery::jwks))
            .route("/.well-known/oauth-authorization-server", get(discovery::metadata))
            // administrators
            .route("/api/user", get(users::list).post(users::create))
            .route("/api/user/{name}", patch(users::update))
            .route("/api/user/{name}/reset", post(users::reset_password))
            .route("/api/invitation", post(invitations::create))
            // operators
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .fallback(error::not_found)
            .with_state(Arc::clone(&self.0));
        layers::apply_layers(routes, &self.0)
    }

    /// A new setup link, which registers the first administrator; `None` once there is an administrator. Earlier links
    /// stay valid until one of them is used or they are a day old.
    pub async fn setup_link(&self) -> Result<Option<String>, DatabaseError> {
        if self.0.accounts.admin_exists().await? {
            return Ok(None);
        }
        let token = self.0.registration_tokens.issue(Kind::Setup, Role::Admin, None).await?;
        Ok(Some(registration_link::url(&self.0.settings, Kind::Setup, &token)))
    }

    /// Creates the account `name` with the role `User` unless it exists, and sets its password. The password comes from
    /// the operator, so the rules for passwords that people choose do not apply.
    pub async fn ensure_account(&self, name: &str, password: &str) -> Result<(), EnsureError> {
        let name = UserName::parse(name)?;
        let permit = self.0.password_hasher.acquire().await?;
        let hash = permit.hash(password.to_owned()).await;
        Ok(self.0.accounts.ensure(&name, &hash).await?)
    }

    /// Runs the maintenance once: rotates the signing keys and deletes expired rows.
    pub async fn run_maintenance_once(&self) -> Result<(), OpenError> {
        maintenance::run_once(&self.0).await
    }

    /// Runs the maintenance every minute until `stop` is cancelled.
    pub async fn run(&self, stop: CancellationToken) {
        maintenance::run(&self.0, &stop).await;
    }
}
