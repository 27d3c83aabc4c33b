//! What every answer carries, whom the browser lets in, and whether the service is well.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::service::each;

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_it_safe() {
    each(async |service| {
        let ann = service.user();
        let id = ann.created().await;
        for call in [
            ann.get("/api/Task"),
            ann.get(&format!("/api/Task/{id}")),
            ann.get("/api/Task/x"),
            ann.get("/nowhere"),
            ann.call(Method::DELETE, "/api/Task"),
            service.get("/api/Task"),
            service.get("/health/live"),
            service.get("/index.html"),
        ] {
            let answer = call.await;
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("server"), None);
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    })
    .await;
}

#[tokio::test]
async fn pages_of_configured_origins_may_call_the_api_and_others_may_not() {
    each(async |service| {
        let ann = service.user();
        let allowed = "access-control-allow-origin";
        let friend = ann.get("/api/Task").header("Origin", "https://pages.example").await.is(200);
        assert_eq!(friend.header(allowed), Some("https://pages.example"));
        assert_eq!(friend.header("access-control-allow-credentials"), None);
        for origin in
            ["https://evil.example", "https://pages.example.evil.example", "http://pages.example", "null"]
        {
            let answer = ann.get("/api/Task").header("Origin", origin).await;
            assert_eq!(answer.header(allowed), None, "{origin}");
        }
        let preflight = service
            .nobody()
            .call(Method::OPTIONS, "/api/Task")
            .header("Origin", "https://pages.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,content-type,prefer")
            .await
            .is(200);
        assert_eq!(preflight.header(allowed), Some("https://pages.example"));
        assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
        for (method, headers) in
            [("DELETE", "authorization"), ("GET", "traceparent,tracestate"), ("POST", "x-request-id")]
        {
            let preflight = service
                .nobody()
                .call(Method::OPTIONS, "/api/Task")
                .header("Origin", "https://pages.example")
                .header("Access-Control-Request-Method", method)
                .header("Access-Control-Request-Headers", headers)
                .await
                .is(200);
            assert!(preflight.header("access-control-allow-methods").unwrap().contains(method));
            let allowed = preflight.header("access-control-allow-headers").unwrap();
            for header in headers.split(',') {
                assert!(allowed.split(',').any(|other| other.trim() == header), "{header}: {allowed}");
            }
        }
        assert!(friend.header("access-control-expose-headers").unwrap().contains("x-request-id"));
        let refused =
            service.nobody().get("/api/Task").header("Origin", "https://pages.example").await.is(401);
        assert_eq!(
            refused.header(allowed),
            Some("https://pages.example"),
            "a page may read why it was refused"
        );
    })
    .await;
}

#[tokio::test]
async fn a_service_that_is_well_says_so_to_anybody() {
    each(async |service| {
        for path in ["/health/live", "/health/ready"] {
            assert_eq!(service.get(path).await.ok::<Value>(), json!({"status": "ok"}));
        }
        let again = service.again(|_| {}).await;
        again.store.close().await;
        again.get("/health/live").await.is(200);
        let answer = again.get("/health/ready").await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("1"));
        let answer = again.user().get("/api/Task").await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        again.stopped().await;
    })
    .await;
}

/// How a packed file begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

#[tokio::test]
async fn the_page_and_everything_on_it_can_be_loaded() {
    each(async |service| {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let load = async |path: &str| {
            let answer = http.get(format!("{}{path}", service.url)).send().await.unwrap();
            let headers = answer.headers().clone();
            assert_eq!(answer.status(), 200, "{path}");
            (headers, answer.bytes().await.unwrap())
        };
        for (path, kind) in [
            ("/index.html", "text/html"),
            ("/swagger-ui.css", "text/css"),
            ("/index.css", "text/css"),
            ("/swagger-ui-bundle.js", "text/javascript"),
            ("/swagger-ui-standalone-preset.js", "text/javascript"),
            ("/swagger-initializer.js", "text/javascript"),
            ("/favicon-32x32.png", "image/png"),
        ] {
            let (headers, bytes) = load(path).await;
            assert_eq!(headers["content-type"], kind, "{path}");
            assert!(!bytes.starts_with(GZIP) && !headers.contains_key("content-encoding"), "{path} is plain");
            let address = format!("{}{path}", service.url);
            let packed = http.get(address).header("accept-encoding", "br, gzip;q=0.5").send().await.unwrap();
            let is_said = packed.headers().contains_key("content-encoding");
            assert_eq!(
                packed.bytes().await.unwrap().starts_with(GZIP),
                is_said,
                "{path} is what it says it is"
            );
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
        }
        let (_, starts) = load("/swagger-initializer.js").await;
        let starts = String::from_utf8(starts.to_vec()).unwrap();
        assert!(starts.contains("/swagger/v1/swagger.json") && !starts.contains("petstore"), "{starts}");
        let (headers, document) = load("/swagger/v1/swagger.json").await;
        assert_eq!(headers["content-type"], "application/json");
        let document: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document, serde_json::to_value(backend::openapi()).unwrap());
    })
    .await;
}
