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
use crate::clients::client::GrantType;
use crate::oauth::pkce;
use crate::pages::return_url::AUTHORIZATION_PAGE;
use crate::scope::Scope;

/// Caches may keep the documents for five minutes, far less than the day for which a key is announced before it signs.
const CACHED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];

/// The metadata of the provider (OpenID Connect Discovery 1.0, section 3; RFC 8414, section 2).
#[derive(Serialize, ToSchema)]
pub(crate) struct ServerMetadata {
    /// The `iss` of tokens.
    #[schema(format = "uri")]
    issuer: String,
    /// Where people are sent to sign in and to allow a client.
    #[schema(format = "uri")]
    authorization_endpoint: String,
    /// Where tokens are issued.
    #[schema(format = "uri")]
    token_endpoint: String,
    /// Where to ask whose token it is.
    #[schema(format = "uri")]
    userinfo_endpoint: String,
    /// The public keys that verify tokens.
    #[schema(format = "uri")]
    jwks_uri: String,
    /// Where people are sent to sign out.
    #[schema(format = "uri")]
    end_session_endpoint: String,
    /// Where a client asks what a token of its own is good for.
    #[schema(format = "uri")]
    introspection_endpoint: String,
    /// Where a client ends a token of its own.
    #[schema(format = "uri")]
    revocation_endpoint: String,
    /// Where a device begins to ask for a person's tokens.
    #[schema(format = "uri")]
    device_authorization_endpoint: String,
    /// Where Backends read which tokens are revoked; a member of Tasker's own.
    #[schema(format = "uri")]
    tasker_revocations_uri: String,
    /// The scopes that a token can have.
    scopes_supported: [&'static str; 4],
    /// What the authorization endpoint answers with.
    response_types_supported: [&'static str; 1],
    /// How the answer reaches the client.
    response_modes_supported: [&'static str; 1],
    /// The grant types of the token endpoint.
    grant_types_supported: [&'static str; 5],
    /// Every client sees the same `sub` of a person.
    subject_types_supported: [&'static str; 1],
    /// The algorithms that sign ID tokens.
    id_token_signing_alg_values_supported: [&'static str; 1],
    /// How a client says who it is.
    token_endpoint_auth_methods_supported: [&'static str; 3],
    /// How a client says who it is when it asks about a token.
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    /// How a client says who it is when it ends a token.
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    /// The methods of PKCE, which is always needed.
    code_challenge_methods_supported: [&'static str; 1],
    /// The values of `prompt`.
    prompt_values_supported: [&'static str; 4],
    /// The claims that a client may see.
    claims_supported: [&'static str; 11],
    /// Answers of the authorization endpoint have the parameter `iss` (RFC 9207).
    authorization_response_iss_parameter_supported: bool,
    /// Request objects are not supported.
    request_parameter_supported: bool,
    /// Addresses of request objects are not supported.
    request_uri_parameter_supported: bool,
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
    let at = |path: &str| format!("{issuer}{path}");
    let metadata = ServerMetadata {
        issuer: issuer.clone(),
        authorization_endpoint: at(AUTHORIZATION_PAGE),
        token_endpoint: at("/connect/token"),
        userinfo_endpoint: at("/connect/userinfo"),
        jwks_uri: at("/.well-known/openid-configuration/jwks"),
        end_session_endpoint: at("/connect/endsession"),
        introspection_endpoint: at("/connect/introspect"),
        revocation_endpoint: at("/connect/revocation"),
        device_authorization_endpoint: at("/connect/deviceauthorization"),
        tasker_revocations_uri: at("/connect/revocations"),
        scopes_supported: Scope::ALL.map(Scope::name),
        response_types_supported: ["code"],
        response_modes_supported: ["query"],
        grant_types_supported: GrantType::ALL.map(GrantType::name),
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        revocation_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
        code_challenge_methods_supported: [pkce::METHOD],
        prompt_values_supported: ["none", "login", "consent", "select_account"],
        claims_supported: [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "at_hash",
            "name",
            "preferred_username",
            "roles",
        ],
        authorization_response_iss_parameter_supported: true,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
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
