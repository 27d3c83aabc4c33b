//! OpenAPI documents: what the operations of every service have in common, added to the document of a service's handlers.

mod problem_examples;
mod responses;
mod unions;

use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

/// Completes the document of a service's handlers: what every request and every answer has in common, and names for the shapes
/// that have none. `refuses_queries` says of a path whether a query parameter that its operations do not have is refused
/// ([`query_names::refuse_unknown`](crate::query_names::refuse_unknown)).
pub fn complete(mut document: OpenApi, refuses_queries: impl Fn(&str) -> bool) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        for (_, operation) in operations(item) {
            responses::add_common_parameters(operation);
            responses::add_common_responses(operation, refuses_queries(path));
            responses::add_common_headers(operation);
            problem_examples::refer_to_examples(operation);
        }
    }
    let components = document.components.get_or_insert_default();
    responses::add_components(components);
    problem_examples::add_examples(components);
    unions::name_variants(components);
    drop_unused(&mut document);
    document
}

/// Drops the headers and examples to which no operation of this service refers.
fn drop_unused(document: &mut OpenApi) {
    let paths = serde_json::to_string(&document.paths).expect("an OpenAPI document is JSON");
    let is_used = |kind: &str, name: &str| paths.contains(&format!("\"#/components/{kind}/{name}\""));
    let components = document.components.get_or_insert_default();
    components.headers.retain(|name, _| is_used("headers", name));
    components.examples.retain(|name, _| is_used("examples", name));
}

/// Adds to the operations of `document` that the requests of each caller are limited: the answer 429, and the headers that announce the
/// limit. Call it before [`complete`], which adds the headers to the answers that every operation has, too.
pub fn document_rate_limit(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            responses::add_rate_limit(operation);
        }
    }
}

/// The scheme of bearer tokens (RFC 6750) that are JWTs.
pub fn bearer_scheme(description: &str) -> SecurityScheme {
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.bearer_format = Some("JWT".to_owned());
    bearer.description = Some(description.to_owned());
    SecurityScheme::Http(bearer)
}

/// The operations of a path with their methods.
pub fn operations(path: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
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
            let mut document = complete(OpenApi::new(Info::new("x", "1"), paths), |_| true);
            let path = document.paths.paths.get_mut("/x").expect("the path was inserted");
            let (_, operation) = operations(path).next().expect("the path has an operation");
            let statuses: Vec<&str> = operation.responses.responses.keys().map(String::as_str).collect();
            assert_eq!(statuses, ["400", "401", "403", "503", "default"]);
        }
    }
}
