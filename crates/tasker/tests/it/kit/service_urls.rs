//! The URLs of the two services that a user's program talks to, and the certificate authority that it trusts there.

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};

/// The base URLs of the Backend and Identity.
#[derive(Debug, Clone)]
pub struct ServiceUrls {
    /// The Backend's base URL, without a slash at the end.
    pub backend: String,
    /// Identity's base URL, without a slash at the end.
    pub identity: String,
    /// The certificate authority (PEM) that signed the certificates of both, if they speak TLS.
    pub ca: Option<String>,
}

impl ServiceUrls {
    /// An HTTP client that trusts `ca` alone and follows no redirect, so that a test sees each answer.
    pub fn http_client(&self) -> Client {
        let trusted = self.ca.iter().map(|pem| {
            Certificate::from_pem(pem.as_bytes()).expect("the certificate authority of the test is PEM")
        });
        let client = Client::builder().redirect(Policy::none()).tls_certs_only(trusted);
        client.build().expect("these options are valid together")
    }
}
