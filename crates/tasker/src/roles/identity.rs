//! `tasker identity`: accounts and tokens on their port.

use std::time::Duration;

use anyhow::{Context, Result};
use identity::{Identity, OpenError, Settings};
use store::{Clock, Db};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{BadConfig, Config, Environment, Layers, Sources};
use crate::exit::Exit;
use crate::metrics::{Door, serve_metrics};
use crate::serve::{Listener, within_grace};
use crate::{plaintext, show, wait};

/// Runs the role until it is stopped.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    config.check_identity()?;
    let _telling = super::start_telling_of(None, &config, environment, sources)?;
    let metrics = Door::open(&config.metrics).await?;
    let db = config.open_accounts()?;
    let tls = config.identity.tls()?;
    let listener = Listener::bind("identity.listen", config.identity.listen, tls).await?;
    let settings = settings(&config, &listener)?;
    plaintext::tell_accounts(&config);
    super::until_stopped(async |stop| {
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
    let is_passing = |error: &OpenError| matches!(error, OpenError::Store(error) if error.is_unavailable());
    Ok(wait::until_there("the database of accounts", stop, is_passing, open).await?)
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
        show::tell(&format!("Setup link: {link}"))?;
    }
    Ok(())
}

/// Identity's settings out of ours; without an issuer it is the address where it listens.
pub fn settings(config: &Config, listener: &Listener) -> Result<Settings, BadConfig> {
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
