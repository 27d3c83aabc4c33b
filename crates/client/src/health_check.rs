//! Whether a service of this machine is healthy, asked at its own listener.

use std::net::SocketAddr;

use crate::error::ClientError;
use crate::transport;

/// Asks the listener at `listen` for `path` and fails unless the answer is a success. A listener on all addresses is asked on
/// loopback. The certificate is not verified: it is for the listener's public name, and the connection stays on this machine.
pub async fn check_health(listen: SocketAddr, is_tls: bool, path: &str) -> Result<(), ClientError> {
    let scheme = if is_tls { "https" } else { "http" };
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let http = transport::own_listener_client()?;
    let base = transport::base_url(&format!("{scheme}://{address}"))?;
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let request = http.get(transport::join_path(&base, &segments));
    transport::send(request, transport::MAX_IDENTITY_RESPONSE_BYTES).await?.or_problem().map(drop)
}
