//! `tasker identity`: accounts and tokens as a process.

use std::time::Duration;

use anyhow::{Context, Result};
use database::{Db, ProcessClock};
use identity::{Identity, OpenError, Settings};
use tokio_util::sync::CancellationToken;
use tracing::info;
use web::allowed_hosts::AllowedHosts;

use crate::config::command_line::Sources;
use crate::config::databases::start_error;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::sections::Config;
use crate::exit_code::Exit;
use crate::observability::Observability;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::server::listener::Listener;
use crate::server::plaintext_warnings;
use crate::services::lifecycle::{Hangup, Stop, until_stopped, within_grace_period};
use crate::services::sqlite_lock::lock_accounts;
use crate::services::startup_retry::retry_until_available;
use crate::terminal;

/// Runs Identity until it is stopped.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    config.check_identity()?;
    let _observability = Observability::start_from(sources, None, &config, environment)?;
    let metrics = MetricsListener::open(&config.metrics).await?;
    let db = config.open_accounts()?;
    let _lock = lock_accounts(&config)?;
    let listener = listen(&config, "identity.listen").await?;
    let settings = settings(&config, &listener)?;
    plaintext_warnings::warn_about_accounts_database(&config);
    until_stopped(Hangup::Reloads, async |Stop { begun: stop, .. }| {
        serve_metrics(metrics, &stop);
        if let Some(identity) = open(&db, config.accounts_setting(), settings, &stop).await? {
            info!("Identity listens on {}", listener.address());
            print_setup_link(&identity).await?;
            serve(identity, listener, stop).await?;
        }
        db.close().await;
        Ok(())
    })
    .await
}

/// Binds the listener of pages and token endpoint, whose address `setting` names.
pub async fn listen(config: &Config, setting: &str) -> Result<Listener> {
    let section = &config.identity;
    let hosts = section.allowed_hosts.and_those_of(&section.issuer);
    let hosts = AllowedHosts::new("identity.allowed_hosts", hosts);
    let listener = Listener::bind(setting, section.listen, section.tls()?, hosts).await?;
    Ok(listener.with_connections_per_network(section.max_connections_per_address))
}

/// Opens Identity as soon as its database, which `setting` names, answers; `None` if `stop` was cancelled before.
pub async fn open(
    db: &Db,
    setting: &str,
    settings: Settings,
    stop: &CancellationToken,
) -> Result<Option<Identity>> {
    let open = async || Identity::open(db.clone(), settings.clone(), ProcessClock::System).await;
    let is_temporary =
        |error: &OpenError| matches!(error, OpenError::Database(error) if error.is_unavailable());
    let opened = retry_until_available("the database of accounts", stop, is_temporary, open).await;
    opened.map_err(|error| match error {
        OpenError::Database(error) => start_error(setting, error),
        error => error.into(),
    })
}

/// Serves until `stop` is cancelled and the requests received by then are answered.
pub async fn serve(identity: Identity, listener: Listener, stop: CancellationToken) -> Result<()> {
    let service = async {
        let served = listener.serve(identity.router(), stop.clone());
        tokio::join!(served, identity.run(stop.clone())).0
    };
    within_grace_period(service, &stop).await
}

/// Prints the link to create the first administrator, unless there is an administrator.
pub async fn print_setup_link(identity: &Identity) -> Result<()> {
    let link = identity.setup_link().await.context("no setup link can be created")?;
    if let Some(link) = link {
        terminal::print_service_line(&format!("Setup link: {link}"))?;
    }
    Ok(())
}

/// The settings of the crate `identity`, from those of the configuration. Without `identity.issuer` the issuer is the URL of
/// the listener.
pub fn settings(config: &Config, listener: &Listener) -> Result<Settings, ConfigError> {
    let section = &config.identity;
    Ok(Settings {
        issuer: section.issuer.as_ref().map_or_else(|| listener.url(), ToString::to_string),
        open_registration: section.open_registration,
        min_password_length: section.min_password_length,
        access_token_ttl: Duration::from_secs(section.access_token_ttl_s.get()),
        key_file: config.trusted_identity_key_file()?,
        clients: config.identity_clients()?,
        cors_origins: section.cors_origins.clone(),
        trusted_proxies: section.trusted_proxies.0.clone(),
    })
}
