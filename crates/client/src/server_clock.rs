//! What time it is at a service: the `Date` of its answers.

use domain::Timestamp;
use reqwest::header::DATE;

use crate::error::ClientError;
use crate::transport;

/// The clock of the service at `address`, to the second; `None` if it does not say (RFC 9110, 6.6.1). `ca` as in
/// [`crate::Settings`].
pub async fn server_clock(address: &str, ca: Option<&[u8]>) -> Result<Option<Timestamp>, ClientError> {
    let connections = transport::connections(ca, transport::is_https(address))?;
    let url = transport::below(&transport::base(address)?, &["health", "live"]);
    let answer = transport::exchange(connections.get(url), transport::MOST_OF_IDENTITY).await?;
    Ok(answer.header(&DATE).and_then(Timestamp::from_http_date))
}
