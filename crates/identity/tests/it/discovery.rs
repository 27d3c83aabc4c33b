//! What clients can find out, and what the edge does to every request.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::kit::{PASSWORD, each_database, password_grant};

#[tokio::test]
async fn s01_s02_discovery_says_what_is_served() {
    each_database(|house| async move {
        let base = &house.base;
        let found = house.json("/.well-known/openid-configuration").await;
        assert_eq!(found["issuer"], json!(base));
        assert_eq!(found["token_endpoint"], json!(format!("{base}/connect/token")));
        assert_eq!(found["userinfo_endpoint"], json!(format!("{base}/connect/userinfo")));
        assert_eq!(found["jwks_uri"], json!(format!("{base}/.well-known/openid-configuration/jwks")));
        assert_eq!(found["scopes_supported"], json!(["openid", "profile", "TaskerWebAPI"]));
        assert_eq!(found["response_types_supported"], json!([]));
        assert!(found.get("authorization_endpoint").is_none(), "there is none yet");
        assert_eq!(house.json("/.well-known/oauth-authorization-server").await, found);
    })
    .await;
}

#[tokio::test]
async fn s03_a_host_header_does_not_move_the_issuer() {
    each_database(|house| async move {
        let asked = house.get("/.well-known/openid-configuration");
        let asked = asked.header("host", "evil.example").header("x-forwarded-host", "evil.example");
        let found: Value = asked.send().await.unwrap().json().await.unwrap();
        assert_eq!(found["issuer"], json!(house.base));
    })
    .await;
}

#[tokio::test]
async fn s04_every_listed_grant_works_and_no_other() {
    each_database(|house| async move {
        house.register("ann").await;
        let found = house.json("/.well-known/openid-configuration").await;
        assert_eq!(found["grant_types_supported"], json!(["client_credentials", "password"]));
        for grant in [
            "authorization_code",
            "refresh_token",
            "implicit",
            "urn:ietf:params:oauth:grant-type:device_code",
        ] {
            let form = [("grant_type", grant), ("client_id", "tasker_backend")];
            let refused = house.post("/connect/token", &form).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
            assert_eq!(refused.json::<Value>().await.unwrap()["error"], "unsupported_grant_type");
        }
    })
    .await;
}

#[tokio::test]
async fn s06_no_answer_invites_other_origins() {
    each_database(|house| async move {
        for path in ["/Auth/Login", "/connect/userinfo", "/.well-known/openid-configuration", "/"] {
            let answer = house.get(path).header("origin", "https://evil.example").send().await.unwrap();
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn s07_the_token_endpoint_takes_posts_only() {
    each_database(|house| async move {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let refused = house.request(method, "/connect/token").send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(refused.headers()["allow"], "POST");
        }
    })
    .await;
}

#[tokio::test]
async fn s08_an_unknown_path_and_a_lost_database_tell_nothing() {
    each_database(|house| async move {
        let answer = house.get("/no/such/page").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert!(!answer.headers().contains_key("server"));
        house.db.close().await;
        assert_eq!(house.get("/health/live").send().await.unwrap().status(), StatusCode::OK);
        assert_eq!(
            house.get("/health/ready").send().await.unwrap().status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        let answer = house.post("/connect/token", &password_grant("ann", PASSWORD)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        let said = answer.text().await.unwrap().to_lowercase();
        assert!(!said.contains("sqlx") && !said.contains("pool"), "{said}");
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let answer = house.post("/Auth/Login", &form).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    })
    .await;
}

#[tokio::test]
async fn s09_a_form_larger_than_any_of_ours_is_refused() {
    each_database(|house| async move {
        let large = "x".repeat(100_000);
        for path in ["/connect/token", "/Auth/Login", "/Auth/Register"] {
            let refused = house.post(path, &[("Username", &large)]).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_case_of_a_path_and_a_slash_at_its_end_do_not_matter() {
    each_database(|house| async move {
        house.register("ann").await;
        for path in [
            "/auth/login",
            "/AUTH/LOGIN/",
            "/Auth/Register/?ReturnUrl=Login",
            "/Health/Live",
            "/.Well-Known/OpenID-Configuration/JWKS",
        ] {
            assert_eq!(house.get(path).send().await.unwrap().status(), StatusCode::OK, "{path}");
        }
        let given = house.post("/Connect/Token/", &password_grant("ann", PASSWORD)).send().await.unwrap();
        assert_eq!(given.status(), StatusCode::OK);
        assert_eq!(house.get("/health/ready").send().await.unwrap().status(), StatusCode::OK);
    })
    .await;
}
