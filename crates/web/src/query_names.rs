//! The query parameters that a route has: any other is refused, since a misspelled one would be without effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::Problem;
use domain::problem_types::requests::MALFORMED;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::{OpenApi, RefOr};

use crate::{openapi, problem};

/// The names of the query parameters of each route that has any, by method and path template.
#[derive(Debug, Clone)]
pub struct QueryNames(Arc<BTreeMap<(String, String), Vec<String>>>);

impl QueryNames {
    /// The query parameters of each operation of an OpenAPI document.
    pub fn from_document(document: &OpenApi) -> Self {
        let mut document = document.clone();
        let mut routes = BTreeMap::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in openapi::operations(item) {
                let names = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
                    RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
                        Some(parameter.name.clone())
                    }
                    _ => None,
                });
                routes.insert((method.to_owned(), path.clone()), names.collect());
            }
        }
        Self(Arc::new(routes))
    }
}

/// Middleware that answers 400 to a query parameter that the route does not have. It must be a layer of the routes, which
/// knows the template of the path. Names are compared without regard to case; the route may distinguish them.
pub async fn refuse_unknown(
    State(QueryNames(routes)): State<QueryNames>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let (Some(path), Some(_)) = (path, request.uri().query()) else { return next.run(request).await };
    let parameters = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).unwrap_or_default();
    let names = routes.get(&(request.method().to_string(), path.as_str().to_owned()));
    let names = names.map(Vec::as_slice).unwrap_or_default();
    let is_known = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let unknown = parameters.iter().map(|(name, _)| name).find(|name| !is_known(name));
    let Some(unknown) = unknown else { return next.run(request).await };
    let known = match names {
        [] => "this path has none".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    let detail = format!("there is no query parameter {unknown:?}: {known}");
    problem::response(Problem::new(&MALFORMED, detail))
}
