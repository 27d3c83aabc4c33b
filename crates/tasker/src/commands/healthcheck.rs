//! `tasker healthcheck`: whether the service that runs here with these settings is healthy, for containers.

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::sections::Config;
use crate::exit_code::Exit;
use crate::server::listener::local_address;

/// The options of `tasker healthcheck`.
#[derive(Debug, Args)]
pub struct HealthCheck {
    /// The service
    #[arg(value_enum)]
    service: Service,
    #[command(flatten)]
    sources: Sources,
}

/// The services that can be asked.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Service {
    /// A Backend: `/health/ready` at `backend.listen`
    Backend,
    /// An Identity: `/health/ready` at `identity.listen`
    Identity,
    /// A worker: `/metrics` at `metrics.listen`, its only listener
    Worker,
}

impl HealthCheck {
    /// Asks the service once. Fails, with the cause, if it does not answer or is not ready.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let config = self.sources.load(Layers::default(), environment)?;
        client::check_health(&self.service.url(&config)?).await?;
        Ok(Exit::Done)
    }
}

impl Service {
    /// What to request.
    fn url(self, config: &Config) -> Result<String, ConfigError> {
        let (listen, certificate, path) = match self {
            Self::Backend => (config.backend.listen, &config.backend.tls_cert, "/health/ready"),
            Self::Identity => (config.identity.listen, &config.identity.tls_cert, "/health/ready"),
            Self::Worker => {
                let listen = config.metrics.listen.ok_or_else(|| {
                    ConfigError::new(
                        "a worker can be asked only if `metrics.listen` is set: it has no other listener"
                            .to_owned(),
                    )
                })?;
                (listen, &config.metrics.tls_cert, "/metrics")
            }
        };
        let scheme = if certificate.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}{path}", local_address(listen)))
    }
}
