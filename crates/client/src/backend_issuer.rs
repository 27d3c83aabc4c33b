//! The issuer whose tokens a Backend accepts, as the Backend itself names it.

use reqwest::header::WWW_AUTHENTICATE;

use crate::error::ClientError;
use crate::transport;

/// The issuer that the Backend at `address` names to a request without a token, as the realm of its challenge (RFC 9110, section
/// 11.5); `None` if it names none. `ca` as in [`crate::client::Settings`]. Fails if the Backend cannot be reached.
pub async fn issuer_of_backend(address: &str, ca: Option<&[u8]>) -> Result<Option<String>, ClientError> {
    let http = transport::http_client(ca, transport::is_https(address))?;
    let url = transport::join_path(&transport::base_url(address)?, &["api", "Operation"]);
    let response = transport::send(http.get(url), transport::MAX_IDENTITY_RESPONSE_BYTES).await?;
    Ok(response.header(&WWW_AUTHENTICATE).and_then(realm).map(str::to_owned))
}

fn realm(challenge: &str) -> Option<&str> {
    let (_, rest) = challenge.strip_prefix("Bearer ")?.split_once("realm=\"")?;
    rest.split_once('"').map(|(realm, _)| realm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_of_a_bearer_challenge_is_read() {
        assert_eq!(realm(r#"Bearer realm="http://id:8081""#), Some("http://id:8081"));
        assert_eq!(realm(r#"Bearer realm="https://id", error="invalid_token""#), Some("https://id"));
        for other in ["Bearer", r#"Bearer error="invalid_token""#, r#"Basic realm="x""#, r#"Bearer realm="x"#]
        {
            assert_eq!(realm(other), None, "{other}");
        }
    }
}
