//! What an administrator does with the accounts of others, at Identity.

use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::api::identity::Identity;
use crate::error::ClientError;
use crate::transport::{self, Answer};

/// The accounts of an Identity, as an administrator sees them.
pub struct Accounts {
    identity: Identity,
    token: SecretString,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// `User`, `Worker` or `Admin`.
    pub role: String,
    /// By what right it was made: `open`, `admin`, `setup`, `invitation`, `operator`.
    pub origin: String,
    /// When, in seconds since 1970.
    pub created: i64,
    /// Whether it is out of use.
    pub disabled: bool,
}

/// A page of accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserList {
    /// By name.
    pub users: Vec<User>,
}

/// A password that nobody will see again, if one was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPassword {
    /// Whose.
    pub name: String,
    /// It.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A link that makes one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The link; it holds for seven days.
    pub link: String,
    /// The account's role.
    pub role: String,
}

#[derive(Serialize)]
struct NewUser<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
    role: &'a str,
}

/// What is to become otherwise; what is absent stays.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Change<'a> {
    /// Another role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'a str>,
    /// Out of use, or in use again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

impl Accounts {
    /// Those of `identity`, by the token of an administrator.
    pub fn of(identity: Identity, token: SecretString) -> Self {
        Self { identity, token }
    }

    /// A page of them, by name; those after `after`.
    pub async fn list(&self, after: Option<&str>) -> Result<UserList, ClientError> {
        let mut url = self.identity.below(&["api", "User"]);
        url.query_pairs_mut().extend_pairs(after.map(|after| ("after", after)));
        self.send(self.identity.http.get(url)).await?.read()
    }

    /// Makes one. Without a password one is made and answered, once.
    pub async fn add(
        &self,
        name: &str,
        role: &str,
        password: Option<&SecretString>,
    ) -> Result<NewPassword, ClientError> {
        let body = NewUser { name, role, password: password.map(SecretString::expose_secret) };
        self.send(self.request(Method::POST, &["api", "User"]).json(&body)).await?.read()
    }

    /// Changes one.
    pub async fn change(&self, name: &str, change: Change<'_>) -> Result<(), ClientError> {
        self.send(self.request(Method::PATCH, &["api", "User", name]).json(&change)).await.map(drop)
    }

    /// Gives one a new password, which is answered, once.
    pub async fn reset(&self, name: &str) -> Result<NewPassword, ClientError> {
        self.send(self.request(Method::POST, &["api", "User", name, "reset"])).await?.read()
    }

    /// Makes a link by which somebody makes an account of `role`.
    pub async fn invite(&self, role: &str) -> Result<Invitation, ClientError> {
        let body = serde_json::json!({ "role": role });
        self.send(self.request(Method::POST, &["api", "Invitation"]).json(&body)).await?.read()
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.identity.http.request(method, self.identity.below(path))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        transport::exchange(request.bearer_auth(self.token.expose_secret()), transport::MOST_OF_IDENTITY)
            .await?
            .or_problem()
    }
}
