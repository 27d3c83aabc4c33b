//! The clock of a service, read from the `Date` header of a response.

use domain::Timestamp;
use reqwest::header::DATE;
use reqwest::{Method, RequestBuilder};

use crate::client::Client;
use crate::error::ClientError;
use crate::transport;

/// The path of the liveness check, which every service answers without a token.
const LIVE: [&str; 2] = ["health", "live"];

/// The clock of the service at `address`, with a resolution of one second; `None` without a `Date` header (RFC 9110, 6.6.1).
/// `ca` as in [`crate::client::Settings`]. Fails if the service cannot be reached.
pub async fn server_time(address: &str, ca: Option<&[u8]>) -> Result<Option<Timestamp>, ClientError> {
    let http = transport::http_client(ca, transport::is_https(address))?;
    read_date(http.get(transport::join_path(&transport::base_url(address)?, &LIVE))).await
}

impl Client {
    /// The clock of the Backend, as [`server_time`].
    pub async fn server_time(&self) -> Result<Option<Timestamp>, ClientError> {
        read_date(self.request(Method::GET, &LIVE)).await
    }
}

async fn read_date(request: RequestBuilder) -> Result<Option<Timestamp>, ClientError> {
    let response = transport::send(request, transport::MAX_IDENTITY_RESPONSE_BYTES).await?;
    Ok(response.header(&DATE).and_then(Timestamp::from_http_date))
}
