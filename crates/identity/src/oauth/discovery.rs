//! Discovery: the metadata document (RFC 8414) with endpoints and what they accept, and the public keys. Only what is
//! implemented is listed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};

use crate::app::App;
use crate::tokens::scope::{AUDIENCE, PROFILE};

/// Caches may keep the documents for five minutes, far less than the day for which a key is announced before it signs.
const CACHED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];

/// The metadata of the authorization server (RFC 8414), and the address of userinfo. There is no authorization endpoint, and there are
/// no ID tokens.
// A member without elements is left out (section 3.2), so there are no response types. The scope `openid` is not listed: clients of the
// original request it, and for them it opens userinfo.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMetadata {
    /// The `iss` of tokens.
    #[schema(format = "uri")]
    issuer: String,
    /// Where tokens are issued.
    #[schema(format = "uri")]
    token_endpoint: String,
    /// Where to ask whose token it is.
    #[schema(format = "uri")]
    userinfo_endpoint: String,
    /// The public keys that verify tokens.
    #[schema(format = "uri")]
    jwks_uri: String,
    /// Where Backends read which tokens are revoked; a member of Tasker's own.
    #[schema(format = "uri")]
    tasker_revocations_uri: String,
    /// The scopes that a token can have.
    scopes_supported: Vec<&'static str>,
    /// The grant types of the token endpoint.
    grant_types_supported: Vec<&'static str>,
    /// How a client says who it is.
    token_endpoint_auth_methods_supported: Vec<&'static str>,
}

/// The public keys as they are published.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct PublicKeys(JwkSet);

impl ToSchema for PublicKeys {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        let text =
            |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
        let key = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("A public key (RFC 7517, section 4)."))
            .property("kty", text("The type of the key: `RSA`."))
            .property("use", text("What the key is for: `sig`."))
            .property("alg", text("The algorithm: `RS256`."))
            .property("kid", text("The id of the key, as the headers of tokens contain it."))
            .property("n", text("The modulus, as base64url."))
            .property("e", text("The exponent, as base64url."));
        let key = ["kty", "use", "alg", "kid", "n", "e"].into_iter().fold(key, ObjectBuilder::required);
        schemas.push(("PublicKey".to_owned(), key.build().into()));
    }
}

impl utoipa::PartialSchema for PublicKeys {
    fn schema() -> RefOr<Schema> {
        let keys = ArrayBuilder::new().items(Ref::from_schema_name("PublicKey"));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("The public keys that verify tokens (RFC 7517, section 5)."))
            .property(
                "keys",
                keys.description(Some(
                    "The keys that sign, or will sign, or have signed tokens that are valid.",
                )),
            )
            .required("keys")
            .into()
    }
}

/// Read the metadata
///
/// What this Identity supports, and where (RFC 8414).
#[utoipa::path(get, path = "/.well-known/openid-configuration", operation_id = "getMetadata", tag = "Tokens", security(()),
    responses((status = 200, body = ServerMetadata, description = "The metadata")))]
pub(crate) async fn metadata(
    State(app): State<Arc<App>>,
) -> ([(HeaderName, &'static str); 1], Json<ServerMetadata>) {
    server_metadata(&app)
}

/// Read the metadata, at the path of OAuth 2
///
/// The same as `/.well-known/openid-configuration`, at the path of RFC 8414.
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", operation_id = "getOAuthMetadata", tag = "Tokens", security(()),
    responses((status = 200, body = ServerMetadata, description = "The metadata")))]
pub(crate) async fn oauth_metadata(
    State(app): State<Arc<App>>,
) -> ([(HeaderName, &'static str); 1], Json<ServerMetadata>) {
    server_metadata(&app)
}

fn server_metadata(app: &App) -> ([(HeaderName, &'static str); 1], Json<ServerMetadata>) {
    let issuer = &app.settings.issuer;
    let metadata = ServerMetadata {
        issuer: issuer.clone(),
        token_endpoint: format!("{issuer}/connect/token"),
        userinfo_endpoint: format!("{issuer}/connect/userinfo"),
        jwks_uri: format!("{issuer}/.well-known/openid-configuration/jwks"),
        tasker_revocations_uri: format!("{issuer}/connect/revocations"),
        scopes_supported: vec![PROFILE, AUDIENCE],
        grant_types_supported: vec!["client_credentials", "password"],
        token_endpoint_auth_methods_supported: vec!["client_secret_basic", "client_secret_post", "none"],
    };
    (CACHED, Json(metadata))
}

/// Read the public keys
///
/// A key is published a day before it signs, and until its last token has expired.
#[utoipa::path(get, path = "/.well-known/openid-configuration/jwks", operation_id = "getPublicKeys", tag = "Tokens", security(()),
    responses((status = 200, body = PublicKeys, description = "The keys")))]
pub(crate) async fn jwks(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], Json<PublicKeys>) {
    (CACHED, Json(PublicKeys(app.keys.public())))
}
