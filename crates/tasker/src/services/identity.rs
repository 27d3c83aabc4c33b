//! `tasker identity`: accounts and tokens on their port.

use std::time::Duration;

use anyhow::{Context, Result};
use database::{Clock, Db};
use identity::{Identity, OpenError, Settings};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Config, ConfigError, Environment, Layers, Sources};
use crate::exit_code::Exit;
use crate::observability::metrics_endpoint::{MetricsListener, serve_metrics};
use crate::server::listener::{Listener, within_grace};
use crate::server::plaintext_warnings;
use crate::services::startup_retry;
use crate::terminal;

/// Runs the role until it is stopped.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    config.check_identity()?;
    let _telling = crate::services::lifecycle::init_observability_of(None, &config, environment, sources)?;
    let metrics = MetricsListener::open(&config.metrics).await?;
    let db = config.open_accounts()?;
    let tls = config.identity.tls()?;
    let listener = Listener::bind("identity.listen", config.identity.listen, tls).await?;
    let settings = settings(&config, &listener)?;
    plaintext_warnings::tell_accounts(&config);
    crate::services::lifecycle::until_stopped(async |stop| {
        serve_metrics(metrics, &stop);
        if let Some(identity) = open(&db, settings, &stop).await? {
            info!("Identity listens on {}", listener.address());
            show_setup_link(&identity).await?;
            serve(identity, listener, stop).await?;
        }
        db.close().await;
        Ok(())
    })
    .await
}

/// Opens the service when its database is there; `None` if it is to stop before.
pub async fn open(db: &Db, settings: Settings, stop: &CancellationToken) -> Result<Option<Identity>> {
    let open = async || Identity::open(db.clone(), settings.clone(), Clock::System).await;
    let is_passing =
        |error: &OpenError| matches!(error, OpenError::Database(error) if error.is_unavailable());
    Ok(startup_retry::retry_until_available("the database of accounts", stop, is_passing, open).await?)
}

/// Serves until `stop` rings and the requests in hand are answered.
pub async fn serve(identity: Identity, listener: Listener, stop: CancellationToken) -> Result<()> {
    let service = async {
        let served = listener.serve(identity.router(), stop.clone());
        tokio::join!(served, identity.run(stop.clone())).0
    };
    within_grace(service, &stop).await
}

/// Prints the link that makes the first administrator, while there is none.
pub async fn show_setup_link(identity: &Identity) -> Result<()> {
    let link = identity.setup_link().await.context("no setup link can be made")?;
    if let Some(link) = link {
        terminal::tell(&format!("Setup link: {link}"))?;
    }
    Ok(())
}

/// Identity's settings out of ours; without an issuer it is the address where it listens.
pub fn settings(config: &Config, listener: &Listener) -> Result<Settings, ConfigError> {
    let ours = &config.identity;
    Ok(Settings {
        issuer: ours.issuer.as_ref().map_or_else(|| listener.url(), ToString::to_string),
        open_registration: ours.open_registration,
        min_password_length: ours.min_password_length,
        access_token_ttl: Duration::from_secs(ours.access_token_ttl_s.get()),
        key_file: config.identity_key_file()?,
        clients: config.identity_clients()?,
    })
}
