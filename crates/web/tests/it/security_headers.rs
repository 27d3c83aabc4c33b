//! The headers that every answer has.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use web::hsts;
use web::security_headers::{self, SecurityHeaders};

use crate::exchange;

const POLICY: &str = "default-src 'none'";

fn router(headers: SecurityHeaders) -> Router {
    let own = [(CACHE_CONTROL, "public, max-age=60"), (CONTENT_SECURITY_POLICY, "default-src 'self'")];
    Router::new()
        .route("/", get(async || "a page"))
        .route("/own", get(async move || (own, "a file")))
        .layer(from_fn_with_state(headers, security_headers::set))
}

#[tokio::test]
async fn an_api_has_the_basic_headers_on_every_answer() {
    for uri in ["/", "/nowhere"] {
        let answer = exchange::get(&router(SecurityHeaders::new()), uri).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-security-policy"), "");
        assert_eq!(answer.header("strict-transport-security"), "");
    }
}

#[tokio::test]
async fn pages_have_a_policy_and_are_isolated_from_other_origins() {
    let headers = SecurityHeaders::new().pages(POLICY);
    let answer = exchange::get(&router(headers), "/").await;
    assert_eq!(answer.header("content-security-policy"), POLICY);
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn what_a_handler_has_set_stays_and_no_header_is_doubled() {
    let headers = SecurityHeaders::new().pages(POLICY).referrer_policy("same-origin");
    let answer = exchange::get(&router(headers), "/own").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=60");
    assert_eq!(answer.header("content-security-policy"), "default-src 'self'");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.headers.len(), answer.headers.keys_len());
}

#[tokio::test]
async fn hsts_is_sent_for_public_host_names_only() {
    let router = Router::new().route("/", get(async || "a page")).layer(from_fn(hsts::add));
    for (host, expected) in [
        ("id.example", "max-age=31536000"),
        ("id.example:8443", "max-age=31536000"),
        ("localhost", ""),
        ("localhost:8081", ""),
        ("identity.localhost:8081", ""),
        ("127.0.0.1:8081", ""),
        ("[::1]:8081", ""),
    ] {
        let answer = exchange::send(&router, exchange::request("GET", "/", &[("host", host)])).await;
        assert_eq!(answer.header("strict-transport-security"), expected, "{host}");
    }
}
