//! Spellings of a path in front of a router.

use axum::Router;
use axum::extract::{MatchedPath, Path, RawQuery};
use axum::http::Uri;
use axum::routing::get;
use web::normalize_path::{self, Templates};

use crate::exchange;

const TEMPLATES: [&str; 3] = ["/api/Task", "/api/Task/{id}", "/api/Task/{id}/result"];

fn router() -> Router {
    let router = Router::new()
        .route(TEMPLATES[0], get(async |RawQuery(query): RawQuery| query.unwrap_or_default()))
        .route(TEMPLATES[1], get(async |Path(id): Path<String>| id))
        .route(TEMPLATES[2], get(async |path: MatchedPath| path.as_str().to_owned()))
        .fallback(async |uri: Uri| format!("no route: {uri}"));
    normalize_path::apply(router, Templates::new(TEMPLATES))
}

#[tokio::test]
async fn every_spelling_reaches_the_route_with_its_parameters_and_its_query() {
    for (uri, text) in [
        ("/API/task/?Limit=10&After=A%20b", "Limit=10&After=A%20b"),
        ("/api/TASK", ""),
        ("/api/task/AbC/", "AbC"),
        ("/api/Task/%41b", "Ab"),
        ("/api/Task/x/RESULT", "/api/Task/{id}/result"),
    ] {
        let answer = exchange::get(&router(), uri).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, text), "{uri}");
    }
}

#[tokio::test]
async fn an_unknown_path_reaches_the_fallback() {
    for uri in ["/API/Job", "/api/Task/1/Result/2", "/"] {
        assert!(exchange::get(&router(), uri).await.text().starts_with("no route: "), "{uri}");
    }
}

/// The target of `CONNECT` is a host and a port, and other methods may be sent with such a target, too.
#[tokio::test]
async fn a_target_without_a_path_reaches_the_fallback() {
    assert_eq!(exchange::get(&router(), "localhost:1").await.text(), "no route: localhost:1");
}
