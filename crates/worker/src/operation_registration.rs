//! Registers the worker's operations at start; retries until the Backend has accepted all of them or refuses one for good.

use client::{Backoff, Client, ClientError};
use tokio_util::sync::CancellationToken;

use crate::backend_outage_log::{BackendOutageLog, BackendRequestKind};
use crate::error::WorkerError;
use crate::registry::operations::Operations;

/// Registers `operations`, waiting for Identity and the Backend as long as it takes. `false`: `stop` was cancelled before
/// all of them were registered.
pub(crate) async fn register_operations(
    client: &Client,
    operations: &Operations,
    outage_log: &BackendOutageLog,
    stop: &CancellationToken,
) -> Result<bool, WorkerError> {
    let mut backoff = Backoff::default();
    for operation in operations.specifications() {
        loop {
            let Some(response) = stop.run_until_cancelled(client.register_operation(operation)).await else {
                return Ok(false);
            };
            let Err(error) = response else { break };
            if is_final(&error) {
                let (name, version) = (operation.name.clone(), operation.version);
                return Err(WorkerError::OperationRefused { name, version, source: error });
            }
            outage_log.record_failure(BackendRequestKind::Registration, &error);
            let pause = tokio::time::sleep(backoff.pause_after(&error));
            if stop.run_until_cancelled(pause).await.is_none() {
                return Ok(false);
            }
        }
        backoff.reset();
    }
    outage_log.record_success(BackendRequestKind::Registration);
    Ok(true)
}

/// Whether no retry can succeed, because the definition itself is refused. A missing account or role is not final: an
/// administrator may still create it.
fn is_final(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| matches!(problem.status, 400 | 409 | 413 | 422))
}
