//! Swagger UI: its files, from the binary, and its sign-in at Identity.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{
    AuthorizationCode, Flow, OAuth2, Scopes, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_swagger_ui::{Config, oauth};

use crate::api::extract::params::NamePath;
use crate::api::openapi::DOCUMENT_PATH;
use crate::app::AppState;
use crate::error::ApiError;

/// The page that the others belong to.
pub(crate) const INDEX_PATH: &str = "/index.html";

/// The id under which Swagger UI is registered at Identity.
const CLIENT_ID: &str = "swagger-ui";

/// The name of the sign-in among the security schemes of the document.
const SCHEME: &str = "identity";

/// What Swagger UI asks for.
const SCOPE: &str = "TaskerWebAPI";

/// One of the files.
pub(crate) async fn serve_file(
    State(app): State<Arc<AppState>>,
    NamePath(file): NamePath,
) -> Result<Response, ApiError> {
    let sign_in = oauth::Config::new()
        .client_id(CLIENT_ID)
        .scopes(vec![SCOPE.to_owned()])
        .use_pkce_with_authorization_code_grant(true);
    let config = Config::with_oauth_config([DOCUMENT_PATH], sign_in);
    let config = config.try_it_out_enabled(true).persist_authorization(true);
    let file = utoipa_swagger_ui::serve(&file, Arc::new(config)).ok().flatten().ok_or(ApiError::NoRoute)?;
    let content_type =
        HeaderValue::try_from(file.content_type).map_err(|error| ApiError::Internal(error.into()))?;
    // Swagger UI needs its own files, inline styles and inline pictures, and Identity to sign in.
    let policy = format!(
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' {}; frame-ancestors 'none'",
        app.token_verifier.issuer()
    );
    let policy = HeaderValue::try_from(policy).map_err(|error| ApiError::Internal(error.into()))?;
    let headers = [(CONTENT_TYPE, content_type), (CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, file.bytes.into_owned()).into_response())
}

/// The document with a sign-in at the Identity `issuer` beside the token that one enters: every operation that takes the one takes the
/// other.
pub(crate) fn with_sign_in(mut document: OpenApi, issuer: &str) -> OpenApi {
    let flow = AuthorizationCode::new(
        format!("{issuer}/connect/authorize"),
        format!("{issuer}/connect/token"),
        Scopes::one(SCOPE, "Tasker's API, with all roles of the account"),
    );
    let scheme = SecurityScheme::OAuth2(OAuth2::new([Flow::AuthorizationCode(flow)]));
    document.components.get_or_insert_default().add_security_scheme(SCHEME, scheme);
    let sign_in = SecurityRequirement::new(SCHEME, [SCOPE]);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        if let Some(security) = &mut operation.security
            && !security.contains(&SecurityRequirement::default())
        {
            security.push(sign_in.clone());
        }
    }
    document
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    let PathItem { get, put, post, delete, patch, .. } = path;
    [get, put, post, delete, patch].into_iter().flatten()
}
