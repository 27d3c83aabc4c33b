//! What holds for every request: problems where no handler answers, methods, paths, sizes, other origins, outages.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};

use crate::kit::{PASSWORD, each_database, each_database_with, password_grant};

const APP: &str = "https://app.example";

#[tokio::test]
async fn programs_get_problem_documents_and_browsers_get_pages() {
    each_database(|service| async move {
        for (method, path, status, slug) in [
            ("GET", "/api/nothing", 404, "no-such-address"),
            ("POST", "/connect/nothing", 404, "no-such-address"),
            ("GET", "/.well-known/nothing", 404, "no-such-address"),
            ("DELETE", "/api/User", 405, "method-not-allowed"),
            ("GET", "/connect/userinfo", 401, "unauthenticated"),
        ] {
            let answer = service.request(method, path).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json", "{method} {path}");
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["type"], format!("/errors/{slug}"), "{method} {path}");
        }
        let wrong_method = service.request("GET", "/connect/token").send().await.unwrap();
        assert_eq!(wrong_method.json::<Value>().await.unwrap()["error"], "invalid_request");
        for (method, path, status) in [
            ("GET", "/nothing", 404),
            ("DELETE", "/Auth/Login", 405),
            ("GET", "/Auth/Login?ReturnUrl=/&ReturnUrl=/", 400),
            ("GET", "/Auth/Register?setup=a&setup=b", 400),
        ] {
            let answer = service.request(method, path).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{method} {path}");
            assert!(answer.text().await.unwrap().contains("<h1>"), "{method} {path}");
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_created_has_an_address() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        let create = async |path: &str, body: Value| {
            service.request("POST", path).bearer_auth(&root).body(body.to_string()).send().await.unwrap()
        };
        let account = create("/api/User", json!({"name": "ann"})).await;
        assert_eq!(
            (account.status(), &account.headers()[LOCATION]),
            (StatusCode::CREATED, &"/api/User/ann".parse().unwrap())
        );
        let invitation = create("/api/Invitation", json!({"role": "User"})).await;
        let location = invitation.headers()[LOCATION].to_str().unwrap().to_owned();
        assert_eq!(invitation.json::<Value>().await.unwrap()["link"], location);
    })
    .await;
}

#[tokio::test]
async fn pages_of_the_origins_in_the_settings_may_get_tokens_and_no_others() {
    let allow = |settings: &mut identity::Settings| settings.cors_origins = vec![APP.to_owned()];
    each_database_with(allow, |service| async move {
        service.register("ann").await;
        let request = |origin: &str| {
            let request = service.post("/connect/token", &password_grant("ann", PASSWORD));
            request.header("origin", origin).header("sec-fetch-site", "cross-site")
        };
        let allowed = request(APP).send().await.unwrap();
        assert_eq!(allowed.status(), StatusCode::OK);
        assert_eq!(allowed.headers()["access-control-allow-origin"], APP);
        let refused = request("https://evil.example").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert!(!refused.headers().contains_key("access-control-allow-origin"));
        let preflight = service.request("OPTIONS", "/connect/userinfo").header("origin", APP);
        let preflight = preflight.header("access-control-request-method", "GET").send().await.unwrap();
        let headers = preflight.headers()["access-control-allow-headers"].to_str().unwrap();
        for header in ["authorization", "traceparent", "tracestate"] {
            assert!(headers.contains(header), "{header}: {headers}");
        }
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let page = service.post("/Auth/Login", &form).header("origin", APP).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::FORBIDDEN, "a page is for no other origin");
    })
    .await;
}

/// The length of a compressed answer would reveal, guess by guess, a secret that stands beside text of a caller (BREACH).
#[tokio::test]
async fn answers_with_secrets_are_never_compressed() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        let gzip = |request: reqwest::RequestBuilder| request.header(ACCEPT_ENCODING, "gzip").send();
        let invitation = service.request("POST", "/api/Invitation").bearer_auth(&root);
        for request in [
            service.post("/connect/token", &password_grant("root", PASSWORD)),
            invitation.body(json!({"role": "User"}).to_string()),
            service.request("GET", "/Auth/Register?ReturnUrl=/"),
        ] {
            let answer = gzip(request).await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
            assert!(!answer.headers().contains_key(CONTENT_ENCODING), "{answer:?}");
        }
        let document = gzip(service.request("GET", "/swagger/v1/swagger.json")).await.unwrap();
        assert_eq!(document.headers()[CONTENT_ENCODING], "gzip");
    })
    .await;
}

#[tokio::test]
async fn no_response_allows_other_origins() {
    each_database(|service| async move {
        for path in ["/Auth/Login", "/connect/userinfo", "/.well-known/openid-configuration", "/"] {
            let answer = service.get(path).header("origin", "https://evil.example").send().await.unwrap();
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_token_endpoint_accepts_post_only() {
    each_database(|service| async move {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let refused = service.request(method, "/connect/token").send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(refused.headers()["allow"], "POST");
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_path_and_a_database_outage_reveal_nothing() {
    each_database(|service| async move {
        let answer = service.get("/no/such/page").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(!answer.headers().contains_key("server"));
        service.db.close().await;
        assert_eq!(service.get("/health/live").send().await.unwrap().status(), StatusCode::OK);
        let unready = service.get("/health/ready").send().await.unwrap();
        assert_eq!(unready.status(), StatusCode::SERVICE_UNAVAILABLE);
        let problem: Value = unready.json().await.unwrap();
        let why = "requests cannot be served: database of accounts: the database cannot be reached";
        assert_eq!(problem["detail"], why);
        let answer = service.post("/connect/token", &password_grant("ann", PASSWORD)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        let body = answer.text().await.unwrap().to_lowercase();
        assert!(!body.contains("sqlx") && !body.contains("pool"), "{body}");
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let answer = service.post("/Auth/Login", &form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    })
    .await;
}

#[tokio::test]
async fn a_form_above_the_size_limit_is_refused() {
    each_database(|service| async move {
        let large = "x".repeat(100_000);
        for path in ["/connect/token", "/Auth/Login", "/Auth/Register"] {
            let refused = service.post(path, &[("Username", &large)]).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn paths_ignore_case_and_a_trailing_slash() {
    each_database(|service| async move {
        service.register("ann").await;
        for path in [
            "/auth/login",
            "/AUTH/LOGIN/",
            "/Auth/Register/?ReturnUrl=Login",
            "/Health/Live",
            "/.Well-Known/OpenID-Configuration/JWKS",
        ] {
            assert_eq!(service.get(path).send().await.unwrap().status(), StatusCode::OK, "{path}");
        }
        let response =
            service.post("/Connect/Token/", &password_grant("ann", PASSWORD)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(service.get("/health/ready").send().await.unwrap().status(), StatusCode::OK);
    })
    .await;
}
