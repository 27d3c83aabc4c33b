//! What the HTTP layers add to the API: security headers, CORS, health, and the pages of Swagger UI.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit_echo().await;
        for call in [
            user.get("/api/Task"),
            user.get(&format!("/api/Task/{id}")),
            user.get("/api/Task/x"),
            user.get("/nowhere"),
            user.call(Method::DELETE, "/api/Task"),
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
    on_each_database(async |service| {
        let user = service.user();
        let allow_origin = "access-control-allow-origin";
        let allowed =
            user.get("/api/Task").header("Origin", "https://pages.example").await.expect_status(200);
        assert_eq!(allowed.header(allow_origin), Some("https://pages.example"));
        assert_eq!(allowed.header("access-control-allow-credentials"), None);
        for origin in
            ["https://evil.example", "https://pages.example.evil.example", "http://pages.example", "null"]
        {
            let answer = user.get("/api/Task").header("Origin", origin).await;
            assert_eq!(answer.header(allow_origin), None, "{origin}");
        }
        let exposed = allowed.header("access-control-expose-headers").unwrap();
        for name in [
            "etag",
            "idempotent-replayed",
            "link",
            "location",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "preference-applied",
            "x-request-id",
        ] {
            assert!(exposed.split(',').any(|exposed| exposed == name), "{name}: {exposed}");
        }
        let refused = service
            .anonymous()
            .get("/api/Task")
            .header("Origin", "https://pages.example")
            .await
            .expect_status(401);
        assert_eq!(
            refused.header(allow_origin),
            Some("https://pages.example"),
            "a page may read the refusal"
        );
    })
    .await;
}

/// What a page's browser asks before it sends a request that is more than a form (Fetch, 3.2.2).
#[tokio::test]
async fn a_preflight_allows_every_method_and_header_of_the_api_and_is_cached() {
    let sent = [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-none-match",
        "last-event-id",
        "prefer",
        "traceparent",
        "tracestate",
        "x-request-id",
    ];
    on_each_database(async |service| {
        let preflight = |method: &str, origin: &str| {
            let request = service.anonymous().call(Method::OPTIONS, "/api/Task");
            let request = request.header("Origin", origin).header("Access-Control-Request-Method", method);
            request.header("Access-Control-Request-Headers", &sent.join(","))
        };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = preflight(method, "https://pages.example").await.expect_status(200);
            let list = |name| answer.header(name).unwrap().split(',').collect::<Vec<_>>();
            assert_eq!(list("access-control-allow-origin"), ["https://pages.example"]);
            assert!(list("access-control-allow-methods").contains(&method), "{method}");
            for header in sent {
                assert!(list("access-control-allow-headers").contains(&header), "{header}");
            }
            assert_eq!(answer.header("access-control-max-age"), Some("7200"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
        let refused = preflight("GET", "https://evil.example").await;
        assert_eq!(refused.header("access-control-allow-origin"), None);
    })
    .await;
}

#[tokio::test]
async fn health_is_answered_without_a_token() {
    on_each_database(async |service| {
        for path in ["/health/live", "/health/ready"] {
            assert_eq!(service.get(path).await.ok::<Value>(), json!({"status": "ok"}));
        }
        let without_database = service.start_another(|_| {}).await;
        without_database.store.close().await;
        without_database.get("/health/live").await.expect_status(200);
        let answer = without_database.get("/health/ready").await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("1"));
        let answer = without_database.user().get("/api/Task").await;
        assert_eq!(answer.problem(), (503, "unavailable".to_owned()));
        without_database.shut_down().await;
    })
    .await;
}

/// How a gzip file begins (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];

#[tokio::test]
async fn swagger_ui_and_all_its_files_can_be_loaded() {
    on_each_database(async |service| {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let load = async |path: &str| {
            let answer = http.get(format!("{}{path}", service.url)).send().await.unwrap();
            let headers = answer.headers().clone();
            assert_eq!(answer.status(), 200, "{path}");
            (headers, answer.bytes().await.unwrap())
        };
        for (path, media_type) in [
            ("/index.html", "text/html"),
            ("/swagger-ui.css", "text/css"),
            ("/index.css", "text/css"),
            ("/swagger-ui-bundle.js", "text/javascript"),
            ("/swagger-ui-standalone-preset.js", "text/javascript"),
            ("/swagger-initializer.js", "text/javascript"),
            ("/favicon-32x32.png", "image/png"),
        ] {
            let (headers, bytes) = load(path).await;
            assert_eq!(headers["content-type"], media_type, "{path}");
            assert!(
                !bytes.starts_with(GZIP) && !headers.contains_key("content-encoding"),
                "{path} is not compressed for a client that does not accept it"
            );
            let url = format!("{}{path}", service.url);
            let compressed = http.get(url).header("accept-encoding", "br, gzip;q=0.5").send().await.unwrap();
            let says_so = compressed.headers().contains_key("content-encoding");
            assert_eq!(
                compressed.bytes().await.unwrap().starts_with(GZIP),
                says_so,
                "the encoding of {path} is the one in its header"
            );
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
        }
        let (_, script) = load("/swagger-initializer.js").await;
        let script = String::from_utf8(script.to_vec()).unwrap();
        assert!(script.contains("/swagger/v1/swagger.json") && !script.contains("petstore"), "{script}");
    })
    .await;
}

#[tokio::test]
async fn swagger_ui_offers_a_sign_in_at_identity_beside_a_token() {
    on_each_database(async |service| {
        let load = async |path: &str| {
            let answer = reqwest::get(format!("{}{path}", service.url)).await.unwrap();
            (answer.headers().clone(), answer.bytes().await.unwrap())
        };
        let (headers, document) = load("/swagger/v1/swagger.json").await;
        assert_eq!(headers["content-type"], "application/json");
        let mut document: Value = serde_json::from_slice(&document).unwrap();
        let schemes = document["components"]["securitySchemes"].as_object_mut().unwrap();
        let flow = &schemes.remove("identity").unwrap()["flows"]["authorizationCode"];
        let issuer = &service.issuer.url;
        assert_eq!(flow["authorizationUrl"], json!(format!("{issuer}/connect/authorize")));
        let policy = load("/index.html").await.0["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains(&format!("connect-src 'self' {issuer};")), "{policy}");
        let submit = &mut document["paths"]["/api/Task"]["post"]["security"];
        assert!(submit.as_array().unwrap().contains(&json!({"identity": ["TaskerWebAPI"]})), "{submit}");
        for operation in document["paths"]
            .as_object_mut()
            .unwrap()
            .values_mut()
            .flat_map(|path| path.as_object_mut().unwrap().values_mut())
        {
            if let Some(security) = operation["security"].as_array_mut() {
                security.retain(|scheme| scheme.get("identity").is_none());
            }
        }
        assert_eq!(
            document,
            serde_json::to_value(backend::openapi()).unwrap(),
            "the rest is the published one"
        );
    })
    .await;
}
