//! The form of a request for a token.

use utoipa::ToSchema;

use crate::clients::client::GrantType;
use crate::form_body::Form;
use crate::oauth::error::TokenError;

/// A request for a token (RFC 6749, sections 4.1.3, 4.3.2, 4.4.2 and 6; RFC 8628, section 3.4).
#[derive(ToSchema)]
#[schema(as = TokenRequest, examples(json!({"grant_type": "password", "client_id": "tasker_backend", "username": "ann",
    "password": "seven-green-herons"})))]
pub(crate) struct TokenRequest<'a> {
    /// `authorization_code`, `refresh_token`, `client_credentials`, `urn:ietf:params:oauth:grant-type:device_code` or `password`, as far as the
    /// client may use them.
    #[schema(value_type = String, required = true)]
    grant_type: Option<&'a str>,
    /// The code, for the grant `authorization_code`.
    #[schema(value_type = String, required = false)]
    pub(crate) code: Option<&'a str>,
    /// The redirect URI of the request for the code.
    #[schema(value_type = String, required = false)]
    pub(crate) redirect_uri: Option<&'a str>,
    /// The verifier of the code's challenge (RFC 7636).
    #[schema(value_type = String, required = false)]
    pub(crate) code_verifier: Option<&'a str>,
    /// The refresh token, for the grant `refresh_token`.
    #[schema(value_type = String, required = false)]
    pub(crate) refresh_token: Option<&'a str>,
    /// The device code, for the grant of that name.
    #[schema(value_type = String, required = false)]
    pub(crate) device_code: Option<&'a str>,
    /// The user's name, for the grant `password`.
    #[schema(value_type = String, required = false)]
    pub(crate) username: Option<&'a str>,
    /// The user's password, for the grant `password`.
    #[schema(value_type = String, required = false)]
    pub(crate) password: Option<&'a str>,
    #[expect(dead_code, reason = "the authentication of the client reads it")]
    /// The id of the client: `tasker_backend` or `tasker_worker` for the grant `password`.
    #[schema(value_type = String, required = false)]
    client_id: Option<&'a str>,
    #[expect(dead_code, reason = "the authentication of the client reads it")]
    /// The secret of the client, unless it is in the header `Authorization`.
    #[schema(value_type = String, required = false)]
    client_secret: Option<&'a str>,
    /// The requested scopes, separated by blanks; without it all that the client may have but `offline_access`.
    #[schema(value_type = String, required = false)]
    pub(crate) scope: Option<&'a str>,
}

impl<'a> TokenRequest<'a> {
    /// The request in a form.
    pub(crate) fn of(form: &'a Form) -> Self {
        Self {
            grant_type: form.value("grant_type"),
            code: form.value("code"),
            redirect_uri: form.value("redirect_uri"),
            code_verifier: form.value("code_verifier"),
            refresh_token: form.value("refresh_token"),
            device_code: form.value("device_code"),
            username: form.value("username"),
            password: form.value("password"),
            client_id: form.value("client_id"),
            client_secret: form.value("client_secret"),
            scope: form.value("scope"),
        }
    }

    /// The grant type. Fails without one, and with one that is not supported.
    pub(crate) fn grant_type(&self) -> Result<GrantType, TokenError> {
        let name = self.grant_type.ok_or(TokenError::InvalidRequest("`grant_type` is missing"))?;
        GrantType::from_name(name).ok_or(TokenError::UnsupportedGrantType)
    }
}
