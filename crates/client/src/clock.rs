//! What time it is at a service: the `Date` of its answers.

use domain::Timestamp;
use reqwest::header::DATE;

use crate::error::ClientError;
use crate::http;

/// The clock of the service at `address`, to the second; `None` if it does not say (RFC 9110, 6.6.1). `ca` as in
/// [`crate::Settings`].
pub async fn clock_of(address: &str, ca: Option<&[u8]>) -> Result<Option<Timestamp>, ClientError> {
    let connections = http::connections(ca, http::is_https(address))?;
    let url = http::below(&http::base(address)?, &["health", "live"]);
    let answer = http::exchange(connections.get(url), http::MOST_OF_IDENTITY).await?;
    Ok(answer.header(&DATE).and_then(Timestamp::from_http_date))
}
