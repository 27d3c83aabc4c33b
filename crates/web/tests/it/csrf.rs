//! Refusal of cross-site requests.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use web::csrf;

use crate::exchange::{request, send};

const OWN: &str = "https://id.example";

fn refused() -> Response {
    (StatusCode::FORBIDDEN, "another site sent this form").into_response()
}

fn router() -> Router {
    let routes = Router::new().route("/", get(async || "read").post(async || "changed"));
    routes.layer(csrf::layer([OWN], refused).unwrap())
}

#[tokio::test]
async fn what_the_own_pages_and_programs_send_passes() {
    for headers in [
        &[][..],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", OWN)],
        &[("origin", "https://id.internal"), ("host", "id.internal")],
    ] {
        assert_eq!(send(&router(), request("POST", "/", headers)).await.text(), "changed", "{headers:?}");
    }
}

#[tokio::test]
async fn what_another_site_sends_is_refused_unless_it_only_reads() {
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "https://id.example:8443"),
        ("origin", "null"),
    ] {
        let answer = send(&router(), request("POST", "/", &[header])).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text()),
            (403, "another site sent this form"),
            "{header:?}"
        );
        assert_eq!(send(&router(), request("GET", "/", &[header])).await.text(), "read");
    }
}

#[test]
fn an_origin_with_a_path_is_a_configuration_error() {
    for origin in ["https://id.example/auth", "id.example", "ftp://id.example"] {
        assert!(csrf::layer([origin], refused).is_err(), "{origin}");
    }
}
