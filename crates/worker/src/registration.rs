//! The worker's first words: its operations, repeated until the Backend has them or refuses one for good.

use client::{Backoff, Client, ClientError};
use domain::TypeName;
use tokio_util::sync::CancellationToken;

use crate::outage_log::{Activity, BackendOutageLog};
use crate::sdk::registry::Operations;

/// Why a worker cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The catalogue has this version with another definition, or finds the definition wrong.
    #[error("the catalogue refuses operation {name}, version {version}")]
    Catalogue {
        /// Which operation.
        name: TypeName,
        /// Its version.
        version: u32,
        /// What the Backend says.
        #[source]
        source: ClientError,
    },
    /// Kafka's settings are refused.
    #[error("the queues cannot be read")]
    Broker(#[from] broker::BrokerError),
    /// The heart cannot have a connection of its own.
    #[error("the heart has no connection")]
    Client(#[source] ClientError),
    /// The heart cannot have a thread of its own.
    #[error("the heart has no thread")]
    Thread(#[source] std::io::Error),
}

/// Enters `operations` into the catalogue, waiting for Identity and the Backend as long as it takes. False: told to stop
/// before that.
pub(crate) async fn register(
    client: &Client,
    operations: &Operations,
    link: &BackendOutageLog,
    stop: &CancellationToken,
) -> Result<bool, WorkerError> {
    let mut backoff = Backoff::default();
    for operation in operations.specifications() {
        loop {
            let Some(answer) = stop.run_until_cancelled(client.register(operation)).await else {
                return Ok(false);
            };
            let Err(error) = answer else { break };
            if is_final(&error) {
                let (name, version) = (operation.name.clone(), operation.version);
                return Err(WorkerError::Catalogue { name, version, source: error });
            }
            link.failed(Activity::Registration, &error);
            let pause = tokio::time::sleep(backoff.after(&error));
            if stop.run_until_cancelled(pause).await.is_none() {
                return Ok(false);
            }
        }
        backoff.reset();
    }
    link.went_through(Activity::Registration);
    Ok(true)
}

/// Whether no later try can go through. An account or a role that is missing may still be made.
fn is_final(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| matches!(problem.status, 400 | 409 | 413 | 422))
}
