//! The calls about accounts at Identity: administrators list, create, change and delete them, everyone changes the own password.

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::api::identity_client::IdentityClient;
use crate::error::ClientError;
use crate::transport::{self, Response};

/// A client for the accounts of an Identity. All but the change of the own password needs an administrator's token.
pub struct AccountsClient {
    identity: IdentityClient,
    token: SecretString,
}

/// An account as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The account's id, which tokens and the log name.
    pub id: String,
    /// The account's name.
    pub name: String,
    /// `User`, `Worker` or `Admin`.
    pub role: String,
    /// How the account was created: `open`, `admin`, `setup`, `invitation`, `operator`.
    pub origin: String,
    /// When the account was created, in seconds since the Unix epoch.
    pub created: i64,
    /// Whether the account is disabled.
    pub disabled: bool,
}

/// A page of accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserList {
    /// The accounts, ordered by name.
    pub users: Vec<User>,
}

/// A created account or a reset password. A generated password is shown this once only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPassword {
    /// The account's name.
    pub name: String,
    /// The generated password; absent if the caller chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// An invitation: a link by which one account can be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The link; valid for seven days.
    pub link: String,
    /// The role of the account.
    pub role: String,
}

#[derive(Serialize)]
struct NewUser<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    role: &'a str,
}

/// A change of an account; absent fields stay as they are.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct AccountChange<'a> {
    /// The new role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'a str>,
    /// Whether the account is disabled from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

impl AccountsClient {
    /// The accounts of `identity`.
    pub fn new(identity: IdentityClient, token: SecretString) -> Self {
        Self { identity, token }
    }

    /// A page of accounts, ordered by name, beginning after the name `after`.
    pub async fn list(&self, after: Option<&str>) -> Result<UserList, ClientError> {
        let mut url = self.identity.url_of(&["api", "User"]);
        url.query_pairs_mut().extend_pairs(after.map(|after| ("after", after)));
        self.send(self.identity.http.get(url)).await?.read()
    }

    /// Creates an account. Without a password one is generated and returned.
    pub async fn add(
        &self,
        name: &str,
        role: &str,
        password: Option<&SecretString>,
    ) -> Result<NewPassword, ClientError> {
        let body = NewUser { name, role, password: password.map(SecretString::expose_secret) };
        self.send(self.request(Method::POST, &["api", "User"]).json(&body)).await?.read()
    }

    /// Changes the role of an account, or disables or enables it.
    pub async fn change(&self, name: &str, change: AccountChange<'_>) -> Result<(), ClientError> {
        self.send(self.request(Method::PATCH, &["api", "User", name]).json(&change)).await.map(drop)
    }

    /// Deletes an account.
    pub async fn delete(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::DELETE, &["api", "User", name])).await.map(drop)
    }

    /// Changes the caller's own password; `name` is the name of the account. The token is revoked.
    pub async fn change_password(
        &self,
        name: &str,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<(), ClientError> {
        let body = serde_json::json!({ "current": current.expose_secret(), "new": new.expose_secret() });
        let path = ["api", "User", name, "password"];
        self.send(self.request(Method::PUT, &path).json(&body)).await.map(drop)
    }

    /// Resets an account's password to a generated one, which is returned.
    pub async fn reset_password(&self, name: &str) -> Result<NewPassword, ClientError> {
        self.send(self.request(Method::POST, &["api", "User", name, "reset"])).await?.read()
    }

    /// Forgets the failed sign-ins of an account.
    pub async fn unlock(&self, name: &str) -> Result<(), ClientError> {
        self.send(self.request(Method::POST, &["api", "User", name, "unlock"])).await.map(drop)
    }

    /// Creates an invitation for one account with `role`.
    pub async fn invite(&self, role: &str) -> Result<Invitation, ClientError> {
        let body = serde_json::json!({ "role": role });
        self.send(self.request(Method::POST, &["api", "Invitation"]).json(&body)).await?.read()
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.identity.http.request(method, self.identity.url_of(path))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        transport::send(
            request.bearer_auth(self.token.expose_secret()),
            transport::MAX_IDENTITY_RESPONSE_BYTES,
        )
        .await?
        .or_problem()
    }
}
