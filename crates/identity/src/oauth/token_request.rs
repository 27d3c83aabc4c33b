//! The form of a request for a token.

use utoipa::ToSchema;

use crate::form_body::Form;
use crate::oauth::error::TokenError;

/// How the client may get a token.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum GrantType {
    /// With the name and the password of a user (RFC 6749, section 4.3).
    Password,
    /// With the secret of the client (RFC 6749, section 4.4).
    ClientCredentials,
}

/// A request for a token (RFC 6749, sections 4.3.2 and 4.4.2).
#[derive(ToSchema)]
#[schema(as = TokenRequest, examples(json!({"grant_type": "password", "client_id": "tasker_backend", "username": "ann",
    "password": "seven-green-herons"})))]
pub(crate) struct TokenRequest<'a> {
    /// `password` for a user, `client_credentials` for a client of the settings.
    #[schema(value_type = GrantType, required = true)]
    grant_type: Option<&'a str>,
    /// The user's name, for the grant `password`.
    #[schema(value_type = String, required = false)]
    pub(crate) username: Option<&'a str>,
    /// The user's password, for the grant `password`.
    #[schema(value_type = String, required = false)]
    pub(crate) password: Option<&'a str>,
    /// The id of the client: `tasker_backend` or `tasker_worker` for the grant `password`.
    #[schema(value_type = String, required = false)]
    pub(crate) client_id: Option<&'a str>,
    /// The secret of the client, unless it is in the header `Authorization`.
    #[schema(value_type = String, required = false)]
    pub(crate) client_secret: Option<&'a str>,
    /// The requested scopes, separated by blanks; without it all that the client may have.
    #[schema(value_type = String, required = false)]
    pub(crate) scope: Option<&'a str>,
}

impl<'a> TokenRequest<'a> {
    /// The request in a form.
    pub(crate) fn of(form: &'a Form) -> Self {
        Self {
            grant_type: form.value("grant_type"),
            username: form.value("username"),
            password: form.value("password"),
            client_id: form.value("client_id"),
            client_secret: form.value("client_secret"),
            scope: form.value("scope"),
        }
    }

    /// The grant type. Fails without one, and with one that is not supported.
    pub(crate) fn grant_type(&self) -> Result<GrantType, TokenError> {
        match self.grant_type {
            Some("password") => Ok(GrantType::Password),
            Some("client_credentials") => Ok(GrantType::ClientCredentials),
            Some(_) => Err(TokenError::UnsupportedGrantType),
            None => Err(TokenError::InvalidRequest("`grant_type` is missing")),
        }
    }
}
