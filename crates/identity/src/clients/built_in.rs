//! The clients that come with Tasker. Settings may replace one by another of the same id.

use crate::clients::client::{Client, GrantType};
use crate::scope::Scope;

/// The command line: people sign in in a browser on the same machine, or on another device.
pub(crate) const COMMAND_LINE: &str = "tasker-cli";

/// The page of the Backend that shows and tries its API.
pub(crate) const SWAGGER_UI: &str = "swagger-ui";

/// Every built-in client. Those of web pages are for pages on the same machine only; elsewhere the settings name their addresses.
pub(crate) fn all() -> Vec<Client> {
    let public = |id: &str, name: &str, grants: &[GrantType], path: &str| Client {
        id: id.to_owned(),
        name: name.to_owned(),
        secret: None,
        roles: Vec::new(),
        grants: grants.to_vec(),
        scopes: Scope::ALL.to_vec(),
        redirect_uris: ["http://127.0.0.1", "http://[::1]", "http://localhost"]
            .map(|host| format!("{host}{path}"))
            .to_vec(),
        post_logout_redirect_uris: Vec::new(),
        needs_consent: false,
    };
    let (code, refresh) = (GrantType::AuthorizationCode, GrantType::RefreshToken);
    vec![
        public(COMMAND_LINE, "Tasker command line", &[code, refresh, GrantType::DeviceCode], "/callback"),
        public(SWAGGER_UI, "Swagger UI", &[code], "/oauth2-redirect.html"),
    ]
}
