//! The query parameters that a route has: any other is refused, since a misspelled one would be without effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Query, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use domain::Problem;

use crate::problem;

/// The names of the query parameters of each route that has any, by method and path template.
#[derive(Debug, Clone, Default)]
pub struct QueryNames(Arc<BTreeMap<(String, String), Vec<String>>>);

impl FromIterator<((String, String), Vec<String>)> for QueryNames {
    fn from_iter<I: IntoIterator<Item = ((String, String), Vec<String>)>>(routes: I) -> Self {
        Self(Arc::new(routes.into_iter().collect()))
    }
}

/// Middleware that answers 400 to a query parameter that the route does not have. It must be a layer of the routes, which
/// knows the template of the path. Upper and lower case are the same here; the route may distinguish them.
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
    problem::response(Problem::new(400, "malformed", "Malformed request", detail))
}
