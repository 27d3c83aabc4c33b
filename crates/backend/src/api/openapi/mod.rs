//! The OpenAPI document, derived from the handlers and their types.

use domain::Problem;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema, Type,
};
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
            "An access token from Identity (POST /connect/token). Enter the token alone, without the word Bearer."
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

/// Adds the responses that every operation may give, and makes the body of every refusal a [`Problem`].
pub(crate) fn add_common_responses(mut document: OpenApi) -> OpenApi {
    for path in document.paths.paths.values_mut() {
        for operation in operations(path) {
            add_problem_responses(operation);
        }
    }
    add_instance(&mut document);
    document
}

/// Adds the member of a problem document that the crate `web` writes into every answer.
fn add_instance(document: &mut OpenApi) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let problem = schemas.and_then(|schemas| schemas.get_mut("Problem"));
    if let Some(RefOr::T(Schema::Object(problem))) = problem {
        let instance = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The id of this request as a URI; the log of the Backend contains the id."));
        problem.properties.insert("instance".to_owned(), instance.into());
    }
}

/// The operations of a path, whatever their methods.
fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = path;
    [get, put, post, delete, options, head, patch, trace].into_iter().filter_map(Option::as_mut)
}

fn add_problem_responses(operation: &mut Operation) {
    let mut add = |status: &str, description: &str| {
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert_with(|| ResponseBuilder::new().description(description).into());
    };
    if operation.security.is_some() {
        add("401", "The bearer token is missing or not valid");
        add("403", "The token lacks the required role or scope");
        add(
            "503",
            "The service is overloaded, or a dependency is unavailable; try again after `Retry-After`",
        );
        add("default", "Any other problem");
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['1', '2', '3']) {
            continue;
        }
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        response.content.insert(Problem::MEDIA_TYPE.to_owned(), problem.into());
        let header = match status.as_str() {
            "401" => "WWW-Authenticate",
            "503" => "Retry-After",
            _ => continue,
        };
        response.headers.insert(header.to_owned(), HeaderBuilder::new().build().into());
    }
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
            let mut document = add_common_responses(OpenApi::new(Info::new("x", "1"), paths));
            let path = document.paths.paths.get_mut("/x").expect("the path was inserted");
            let operation = operations(path).next().expect("the path has an operation");
            let statuses: Vec<&str> = operation.responses.responses.keys().map(String::as_str).collect();
            assert_eq!(statuses, ["401", "403", "503", "default"], "{}", operation.responses.responses.len());
        }
    }
}
