//! The OpenAPI document, derived from the handlers and their types.

mod responses;
mod unions;

use domain::Problem;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi as _};

/// Where the document is served.
pub(crate) const DOCUMENT_PATH: &str = "/swagger/v1/swagger.json";

/// The parts of the document that belong to no single handler.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tasker",
        description = "A task queue: submit tasks that workers run. Each task has a time to live and is cancelled when it expires."
    ),
    components(schemas(Problem)),
    modifiers(&BearerScheme),
    servers((url = "/", description = "The Backend that serves this document")),
    tags(
        (name = "Tasks", description = "Submit tasks, follow them, read their results, cancel them. Requires the role User or Admin; callers see their own tasks only."),
        (name = "Operations", description = "The types that tasks can have. Workers register them."),
        (name = "Workers", description = "Claim tasks, report their results, send heartbeats. Requires the role Worker or Admin."),
        (name = "Health", description = "Probes for load balancers and orchestrators. No token is required."),
    )
)]
pub(crate) struct ApiDoc;

struct BearerScheme;

impl Modify for BearerScheme {
    fn modify(&self, document: &mut OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.bearer_format = Some("JWT".to_owned());
        bearer.description = Some(
            "An access token from Identity (POST /connect/token) with the scope TaskerWebAPI. An operation lists the roles of \
             which the token must have one. Enter the token alone, without the word Bearer."
                .to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

impl ApiDoc {
    /// A document without routes.
    pub(crate) fn without_routes() -> OpenApi {
        Self::openapi()
    }
}

/// Completes the document of the handlers: what every request and every answer has in common, and names for the shapes that
/// have none.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    for path in document.paths.paths.values_mut() {
        for (_, operation) in operations(path) {
            responses::add_common_parameters(operation);
            responses::add_common_responses(operation);
        }
    }
    let components = document.components.get_or_insert_default();
    responses::add_components(components);
    unions::name_variants(components);
    document
}

/// The operations of a path with their methods.
pub(crate) fn operations(path: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = path;
    let operations = [
        ("GET", get),
        ("PUT", put),
        ("POST", post),
        ("DELETE", delete),
        ("OPTIONS", options),
        ("HEAD", head),
        ("PATCH", patch),
        ("TRACE", trace),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::path::{HttpMethod, OperationBuilder};
    use utoipa::openapi::security::SecurityRequirement;
    use utoipa::openapi::{Info, Paths};

    use super::*;

    #[test]
    fn operations_of_every_method_get_the_common_responses() {
        for method in [
            HttpMethod::Get,
            HttpMethod::Put,
            HttpMethod::Post,
            HttpMethod::Delete,
            HttpMethod::Options,
            HttpMethod::Head,
            HttpMethod::Patch,
            HttpMethod::Trace,
        ] {
            let security = SecurityRequirement::new("bearer", Vec::<String>::new());
            let operation = OperationBuilder::new().security(security).build();
            let mut paths = Paths::new();
            paths.paths.insert("/x".to_owned(), PathItem::new(method.clone(), operation));
            let mut document = complete(OpenApi::new(Info::new("x", "1"), paths));
            let path = document.paths.paths.get_mut("/x").expect("the path was inserted");
            let (_, operation) = operations(path).next().expect("the path has an operation");
            let statuses: Vec<&str> = operation.responses.responses.keys().map(String::as_str).collect();
            assert_eq!(
                statuses,
                ["400", "401", "403", "503", "default"],
                "{}",
                operation.responses.responses.len()
            );
        }
    }
}
