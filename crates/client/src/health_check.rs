//! Whether a service of this machine is healthy, asked at its own listener.

use crate::error::ClientError;
use crate::transport;

/// Requests `url`, which is an address of this machine, and fails unless the answer is a success. The certificate is not verified: it is
/// for the listener's public name, and the connection stays on this machine.
pub async fn check_health(url: &str) -> Result<(), ClientError> {
    let request = transport::own_listener_client()?.get(transport::base_url(url)?);
    transport::send(request, transport::MAX_IDENTITY_RESPONSE_BYTES).await?.or_problem().map(drop)
}
