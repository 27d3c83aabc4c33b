//! `POST /connect/deviceauthorization`: a device begins to wait for a person to allow it (RFC 8628, section 3.1).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use web::client_address::ClientAddress;
use web::network::network;

use crate::app::App;
use crate::authentication::rate_limit::RateLimit;
use crate::clients::client::GrantType;
use crate::form_body::{Form, InvalidForm};
use crate::grants::device_store::{DEVICE_TTL, POLL_INTERVAL, display_user_code};
use crate::oauth::client_authentication::SentCredentials;
use crate::oauth::error::{OAuthError, TokenError};
use crate::oauth::token::authenticate_client;
use crate::pages::return_url::DEVICE_PAGE;
use crate::scope::Scopes;
use crate::time::SECOND;

/// A device that asks for a person's tokens.
#[derive(ToSchema)]
#[schema(examples(json!({"client_id": "tasker-cli", "scope": "openid offline_access TaskerWebAPI"})))]
#[expect(dead_code, reason = "the handler reads the form itself")]
pub(crate) struct DeviceRequest {
    /// The id of the client, unless it is in the header `Authorization`.
    #[schema(required = false)]
    client_id: Option<String>,
    /// The secret of the client, unless it has none or it is in the header `Authorization`.
    #[schema(required = false)]
    client_secret: Option<String>,
    /// The requested scopes, separated by blanks; without it all that the client may have but `offline_access`.
    #[schema(required = false)]
    scope: Option<String>,
}

/// What the device shows and asks with (RFC 8628, section 3.2).
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceAuthorization {
    /// What the device asks the token endpoint with.
    device_code: String,
    /// What the person types.
    user_code: String,
    /// Where the person types it.
    #[schema(format = "uri")]
    verification_uri: String,
    /// The same with the code in it.
    #[schema(format = "uri")]
    verification_uri_complete: String,
    /// How long the codes are valid, in seconds.
    expires_in: i64,
    /// How many seconds lie between two requests for the token.
    interval: i64,
}

/// Begin to wait for a person
///
/// A device without a browser shows the code and the address, and asks the token endpoint until a person has allowed it (RFC 8628).
#[utoipa::path(post, path = "/connect/deviceauthorization", operation_id = "authorizeDevice", tag = "Tokens", security((), ("client" = [])),
    request_body(content = DeviceRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = DeviceAuthorization, description = "The codes"),
        (status = 400, body = OAuthError, description = "The request is invalid"),
        (status = 401, body = OAuthError, description = "The client is unknown, or its secret is wrong"),
        (status = 429, body = OAuthError, description = "Too many devices of this network have begun to wait"),
        (status = 403, body = OAuthError, description = "A browser sent the request from a page of another site"),
        (status = 413, body = OAuthError, description = "The form is too large"),
        (status = 415, body = OAuthError, description = "The body is not a form, or its `Content-Encoding` is neither gzip nor identity"),
        (status = 503, body = OAuthError, description = "The database is unavailable"),
        (status = "default", body = OAuthError, description = "Any other error")))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    headers: HeaderMap,
    form: Result<Form, InvalidForm>,
) -> Result<Json<DeviceAuthorization>, TokenError> {
    let form = form?;
    let client = authenticate_client(&app, client_address, &headers, &SentCredentials::of(&form)).await?;
    if !client.may_use(GrantType::DeviceCode) {
        return Err(TokenError::UnauthorizedClient);
    }
    let scopes = Scopes::grant(form.value("scope"), &client.scopes).ok_or(TokenError::InvalidScope)?;
    let pass = app.rate_limiter.check(RateLimit::Device, &network(client_address)).await??;
    app.rate_limiter.consume(pass).await?;
    let codes = app.devices.begin(&client.id, &scopes).await?;
    let (user_code, page) = (display_user_code(&codes.user), format!("{}{DEVICE_PAGE}", app.settings.issuer));
    Ok(Json(DeviceAuthorization {
        device_code: codes.device.as_str().to_owned(),
        verification_uri_complete: format!("{page}?user_code={user_code}"),
        user_code,
        verification_uri: page,
        expires_in: DEVICE_TTL / SECOND,
        interval: POLL_INTERVAL / SECOND,
    }))
}
