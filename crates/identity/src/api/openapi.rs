//! The OpenAPI document, derived from the handlers and their types.

use domain::Problem;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _};
use web::openapi;

/// Where the document is served: at the same path as the Backend's.
pub(crate) const DOCUMENT_PATH: &str = "/swagger/v1/swagger.json";

/// The parts of the document that belong to no single handler.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tasker Identity",
        description = "Accounts and access tokens for Tasker. The pages where people register and sign in are not part of this document."
    ),
    components(schemas(Problem)),
    modifiers(&SecuritySchemes),
    servers((url = "/", description = "The Identity that serves this document")),
    tags(
        (name = "Tokens", description = "The endpoints of OAuth 2 and OpenID Connect: get a token, ask whose it is, verify it."),
        (name = "Accounts", description = "Manage accounts. The role is that of the account at the moment of the request; the one in the token does not count."),
        (name = "Health", description = "Probes for load balancers and orchestrators. No token is required."),
        (name = "Problems", description = "What the types of problem documents (RFC 9457) mean. No token is required."),
    )
)]
pub(crate) struct ApiDoc;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = openapi::bearer_scheme(
            "An access token from `POST /connect/token` with the scope TaskerWebAPI. An operation lists the roles of which the \
             account must have one.",
        );
        let mut client = Http::new(HttpAuthScheme::Basic);
        client.description = Some(
            "The id and the secret of a client of the settings (RFC 6749, section 2.3.1). They may be sent in the form instead."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", bearer);
        components.add_security_scheme("client", SecurityScheme::Http(client));
    }
}

impl ApiDoc {
    /// A document without routes.
    pub(crate) fn without_routes() -> OpenApi {
        Self::openapi()
    }
}

/// Completes the document of the handlers. The endpoints of OAuth 2 ignore unknown parameters (RFC 6749, section 3.2).
pub(crate) fn complete(document: OpenApi) -> OpenApi {
    openapi::complete(document, |path| !path.starts_with("/connect/") && !path.starts_with("/.well-known/"))
}
