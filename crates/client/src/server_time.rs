//! The clock of a service, read from the `Date` header of a response.

use domain::Timestamp;
use reqwest::header::DATE;

use crate::error::ClientError;
use crate::transport;

/// The clock of the service at `address`, with a resolution of one second; `None` without a `Date` header (RFC 9110, 6.6.1).
/// `ca` as in [`crate::client::Settings`]. Fails if the service cannot be reached.
pub async fn server_time(address: &str, ca: Option<&[u8]>) -> Result<Option<Timestamp>, ClientError> {
    let http = transport::http_client(ca, transport::is_https(address))?;
    let url = transport::join_path(&transport::base_url(address)?, &["health", "live"]);
    let response = transport::send(http.get(url), transport::MAX_IDENTITY_RESPONSE_BYTES).await?;
    Ok(response.header(&DATE).and_then(Timestamp::from_http_date))
}
