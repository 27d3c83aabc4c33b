//! Discovery (RFC 8414) and what holds for every request: methods, sizes, paths, outages.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::kit::{PASSWORD, each_database, password_grant};

#[tokio::test]
async fn discovery_lists_what_is_implemented() {
    each_database(|service| async move {
        let base = &service.base;
        let found = service.json("/.well-known/openid-configuration").await;
        assert_eq!(found["issuer"], json!(base));
        assert_eq!(found["token_endpoint"], json!(format!("{base}/connect/token")));
        assert_eq!(found["userinfo_endpoint"], json!(format!("{base}/connect/userinfo")));
        assert_eq!(found["jwks_uri"], json!(format!("{base}/.well-known/openid-configuration/jwks")));
        assert_eq!(found["scopes_supported"], json!(["profile", "TaskerWebAPI"]));
        let members = found.as_object().unwrap();
        let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        assert!(!members.values().any(is_empty), "RFC 8414, section 3.2: {found}");
        assert!(found.get("response_types_supported").is_none(), "there is no authorization endpoint");
        assert!(found.get("authorization_endpoint").is_none(), "there is none yet");
        assert_eq!(service.json("/.well-known/oauth-authorization-server").await, found);
    })
    .await;
}

#[tokio::test]
async fn a_host_header_does_not_change_the_issuer() {
    each_database(|service| async move {
        let request = service.get("/.well-known/openid-configuration");
        let request = request.header("host", "evil.example").header("x-forwarded-host", "evil.example");
        let found: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(found["issuer"], json!(service.base));
    })
    .await;
}

#[tokio::test]
async fn only_the_listed_grant_types_are_supported() {
    each_database(|service| async move {
        service.register("ann").await;
        let found = service.json("/.well-known/openid-configuration").await;
        assert_eq!(found["grant_types_supported"], json!(["client_credentials", "password"]));
        for grant in [
            "authorization_code",
            "refresh_token",
            "implicit",
            "urn:ietf:params:oauth:grant-type:device_code",
        ] {
            let form = [("grant_type", grant), ("client_id", "tasker_backend")];
            let refused = service.post("/connect/token", &form).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
            assert_eq!(refused.json::<Value>().await.unwrap()["error"], "unsupported_grant_type");
        }
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
