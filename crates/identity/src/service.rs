//! The service: how Identity is opened, which routes it has, and what it does by itself.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, patch, post};
use database::{DatabaseError, Db, ProcessClock};
use tokio_util::sync::CancellationToken;
use web::normalize_path::{self, Templates};
use web::query_names::{self, QueryNames};
use web::request_log;
use web::request_span::{self, TraceRoot};

use crate::accounts::account_store::AccountStore;
use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::accounts::username::UserName;
use crate::admin_api::problem::ApiError;
use crate::admin_api::{invitations, users};
use crate::app::App;
use crate::authentication::lockout::Lockout;
use crate::error::{EnsureError, OpenError};
use crate::layers;
use crate::oauth::error::TokenError;
use crate::oauth::{discovery, revocations, token, userinfo};
use crate::pages::{assets, error, home, invite, login, logout, password, register};
use crate::role::Role;
use crate::settings::Settings;
use crate::{health, maintenance};

/// No request to Identity begins a trace; it continues those that come with a request.
const NO_TRACE_ROOT: TraceRoot = None;

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
        let settings = &self.0.settings;
        let (pages, oauth, apis, admin, health) =
            (page_routes(), oauth_routes(), api_routes(), admin_routes(), health_routes());
        let all = pages.iter().chain(&oauth).chain(&apis).chain(&admin).chain(&health);
        let templates = Templates::new(all.map(|(template, _)| *template).chain(assets::urls()));
        let with_state = |routes: Router<Arc<App>>| routes.with_state(Arc::clone(&self.0));
        let pages = router(pages).merge(assets::router());
        let pages = pages.fallback(error::not_found).method_not_allowed_fallback(error::wrong_method);
        let pages = layers::guard_pages(with_state(pages), settings);
        let oauth = router(oauth).method_not_allowed_fallback(async || TokenError::Method);
        let oauth = layers::guard_api(with_state(oauth), layers::OAUTH, settings);
        let names = from_fn_with_state(query_names(), query_names::refuse_unknown);
        let apis = router(admin).layer(names).merge(router(apis));
        let apis = apis.method_not_allowed_fallback(async || ApiError::WrongMethod);
        let apis = layers::guard_api(with_state(apis), layers::PROBLEMS, settings);
        let health = with_state(router(health)).layer(from_fn(request_log::log_at_debug));
        let routes = layers::observe(pages.merge(oauth).merge(apis).merge(health), settings);
        normalize_path::apply(routes, templates)
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

    /// Creates the account `name` with the role `User` unless it exists, and sets its password unless it has it already:
    /// another password revokes the account's access tokens. The password comes from the operator, so the rules for passwords
    /// that people choose do not apply.
    pub async fn ensure_account(&self, name: &str, password: &str) -> Result<(), EnsureError> {
        let (name, accounts) = (UserName::parse(name)?, &self.0.accounts);
        let permit = self.0.password_hasher.acquire("the operator".to_owned()).await?;
        if let Some((_, hash)) = accounts.find(name.lower_case()).await?
            && permit.verify(password.to_owned(), hash).await
        {
            return Ok(());
        }
        let hash = permit.hash(password.to_owned()).await;
        if !accounts.create_by_operator(&name, &hash).await?
            && let Some((account, _)) = accounts.find(name.lower_case()).await?
        {
            self.0.set_password(account.id, &hash).await?;
        }
        Ok(())
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

/// Forgets the failed sign-ins of the account `name`, for the operator of the database; `false` if there is no such account.
pub async fn unlock(db: &Db, name: &str) -> Result<bool, DatabaseError> {
    let clock = ProcessClock::System;
    let account = AccountStore::new(db.clone(), clock.clone()).find(&name.to_lowercase()).await?;
    let Some((account, _)) = account else { return Ok(false) };
    Lockout::new(db.clone(), clock).unlock(account.id).await?;
    Ok(true)
}

type RouteTable = Vec<(&'static str, MethodRouter<Arc<App>>)>;

fn router(routes: RouteTable) -> Router<Arc<App>> {
    routes.into_iter().fold(Router::new(), |router, (template, methods)| router.route(template, methods))
}

/// The routes for browsers.
fn page_routes() -> RouteTable {
    vec![
        ("/", get(home::show)),
        ("/Auth/Register", get(register::show).post(register::submit)),
        ("/Auth/Login", get(login::show).post(login::submit)),
        ("/Auth/Password", get(password::show).post(password::submit)),
        ("/Auth/Logout", post(logout::submit)),
        ("/Auth/Invite", post(invite::submit)),
    ]
}

/// The token endpoint of OAuth 2.
fn oauth_routes() -> RouteTable {
    let issue = post(token::issue).layer(from_fn_with_state(NO_TRACE_ROOT, request_span::record));
    vec![("/connect/token", issue)]
}

/// The other routes for OAuth 2 clients, Backends among them. They read queries as the standards say (RFC 6749, RFC 6750).
fn api_routes() -> RouteTable {
    vec![
        ("/connect/userinfo", get(userinfo::show).post(userinfo::show)),
        ("/connect/revocations", get(revocations::list).layer(from_fn(request_log::log_at_debug))),
        ("/.well-known/openid-configuration", get(discovery::metadata)),
        ("/.well-known/openid-configuration/jwks", get(discovery::jwks)),
        ("/.well-known/oauth-authorization-server", get(discovery::metadata)),
    ]
}

/// The routes for administrators.
fn admin_routes() -> RouteTable {
    vec![
        ("/api/User", get(users::list).post(users::create)),
        ("/api/User/{name}", patch(users::update)),
        ("/api/User/{name}/unlock", post(users::unlock)),
        ("/api/User/{name}/reset", post(users::reset_password)),
        ("/api/Invitation", post(invitations::create)),
    ]
}

/// The query parameters of the routes for administrators.
fn query_names() -> QueryNames {
    let list = ("GET".to_owned(), "/api/User".to_owned());
    [(list, vec!["limit".to_owned(), "after".to_owned()])].into_iter().collect()
}

/// The routes for probes of operators.
fn health_routes() -> RouteTable {
    vec![("/health/live", get(health::live)), ("/health/ready", get(health::ready))]
}
