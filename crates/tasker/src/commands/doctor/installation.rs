//! What `tasker doctor` checks: the `tasker up` of a data directory, or the services that the settings name.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command_error::NoServer;
use crate::commands::checks::Deployment;
use crate::commands::doctor::finding::{Finding, Verdict};
use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::layers::Layers;
use crate::config::sections::Config;
use crate::config::values::Address;
use crate::data_dir::{ACCOUNT, Addresses, DEFAULT_DATA_DIR, DataDir};
use crate::services::all_in_one;

/// The settings that services of their own need and that `tasker up` does not.
const NAMES_OF_SERVICES: [&str; 3] = ["database.url", "worker.client_id", "worker.username"];

/// An installation and its settings.
pub struct Installation {
    /// The sources of the settings.
    pub layers: Layers,
    /// The settings. Those of a `tasker up` have the addresses that it printed, and its account `local` in the place of a worker's.
    pub config: Config,
    /// How the services run.
    pub deployment: Deployment,
    /// The file of the local account's password, of a `tasker up`.
    pub password_file: Option<PathBuf>,
    /// What is checked, in words.
    pub finding: Finding,
}

impl Installation {
    /// The `tasker up` of `data_dir`. Without a directory: that of `./.tasker`, if one runs there and the settings name neither
    /// a database nor a worker's account; else the services of the settings.
    ///
    /// # Errors
    ///
    /// [`NoServer`] if none runs on `data_dir`; if a setting is invalid or a file of the directory cannot be read.
    pub fn find(data_dir: Option<&Path>, sources: &Sources, environment: &Environment) -> Result<Self> {
        let path = data_dir.unwrap_or(Path::new(DEFAULT_DATA_DIR));
        let data = DataDir::at(path);
        let layers = sources.layers(Layers::default(), environment)?;
        let is_sought =
            data_dir.is_some() || NAMES_OF_SERVICES.iter().all(|name| layers.find(name).is_none());
        match data.addresses()?.filter(|_| is_sought) {
            Some(addresses) => {
                let layers = sources.layers(all_in_one::default_layers(&data)?, environment)?;
                Self::all_in_one(&data, path, addresses, layers)
            }
            None if data_dir.is_some() => Err(NoServer(path.to_owned()).into()),
            None => {
                let config = layers.build()?;
                let file = layers.settings_file().filter(|file| file.exists());
                let file = file.map_or("no settings file".to_owned(), |file| file.display().to_string());
                let other = if is_sought {
                    format!("; no `tasker up` runs on {}", path.display())
                } else {
                    String::new()
                };
                let message =
                    format!("the services that the settings name ({file}, environment, options){other}");
                let finding = Finding::new("installation", Verdict::Ok, message);
                Ok(Self { layers, config, deployment: Deployment::Apart, password_file: None, finding })
            }
        }
    }

    fn all_in_one(data: &DataDir, path: &Path, addresses: Addresses, layers: Layers) -> Result<Self> {
        let mut config = layers.build()?;
        let address = |url: &str| {
            url.parse::<Address>()
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("{} names {url}", path.display()))
        };
        let Addresses { backend, identity, tls_ca } = addresses;
        let message = format!(
            "the `tasker up` of {}: the Backend at {backend}, Identity at {identity}",
            path.display()
        );
        config.worker.backend_url = address(&backend)?.into();
        config.worker.identity_url = address(&identity)?;
        config.backend.identity_url =
            config.identity.issuer.clone().unwrap_or_else(|| config.worker.identity_url.clone());
        config.worker.tls_ca = config.worker.tls_ca.or_else(|| tls_ca.clone());
        config.backend.tls_ca = config.backend.tls_ca.or(tls_ca);
        (config.worker.client_id, config.worker.client_secret) = (None, None);
        config.worker.username = Some(ACCOUNT.to_owned());
        config.worker.password = Some(data.password()?.unwrap_or_default().into());
        let (deployment, password_file) = (Deployment::AllInOne, Some(data.password_file()));
        let finding = Finding::new("installation", Verdict::Ok, message);
        Ok(Self { layers, config, deployment, password_file, finding })
    }
}
