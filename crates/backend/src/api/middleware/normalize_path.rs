//! Addresses as the original's framework takes them: fixed words in any case, a trailing slash or none.

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use tower::ServiceExt;

/// Fixed words by their place; what stands where an id, a type or a name belongs is left alone.
fn known_segments(place: usize, before: &[String]) -> &'static [&'static str] {
    match (place, before.get(1).map(String::as_str)) {
        (0, _) => &["api", "health", "swagger", "index.html"],
        (1, _) => &["Task", "Operation", "Worker", "live", "ready", "v1"],
        (2, Some("Task")) => &["request", "results"],
        (2, Some("Worker")) => &["heartbeat"],
        (2, Some("v1")) => &["swagger.json"],
        (3, Some("Task")) => &["result", "cancel"],
        _ => &[],
    }
}

/// The one spelling of `path` that the router knows.
fn canonical(path: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for (place, word) in path.trim_matches('/').split('/').enumerate() {
        let known = known_segments(place, &words).iter().find(|known| known.eq_ignore_ascii_case(word));
        words.push(known.map_or_else(|| word.to_owned(), |known| (*known).to_owned()));
    }
    format!("/{}", words.join("/"))
}

/// Wraps `router` so that every spelling of an address reaches its route.
pub(crate) fn normalize_path(router: Router) -> Router {
    Router::new().fallback_service(router.map_request(|mut request: Request| {
        let path = canonical(request.uri().path());
        if path != request.uri().path() {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            let mut parts = request.uri().clone().into_parts();
            if let Ok(path) = format!("{path}{query}").parse::<PathAndQuery>() {
                parts.path_and_query = Some(path);
                *request.uri_mut() = Uri::from_parts(parts).expect("the same address with another path");
            }
        }
        request
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_words_have_one_spelling_and_the_rest_is_left_alone() {
        for (given, known) in [
            ("/API/task/", "/api/Task"),
            ("/api/TASK/0191/RESULT", "/api/Task/0191/result"),
            ("/api/task/Request/0191/", "/api/Task/request/0191"),
            ("/Api/operation/Result", "/api/Operation/Result"),
            ("/api/worker/Heartbeat", "/api/Worker/heartbeat"),
            ("/Swagger/V1/Swagger.json", "/swagger/v1/swagger.json"),
            ("/INDEX.html", "/index.html"),
            ("/", "/"),
        ] {
            assert_eq!(canonical(given), known);
        }
    }
}
