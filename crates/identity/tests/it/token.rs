//! `POST /connect/token` with a password (RFC 6749, sections 4.3 and 5), and the claims of a token (RFC 9068).

use std::collections::HashSet;

use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::kit::{PASSWORD, claims, each_database, header, password_grant};

const LONG_ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

#[tokio::test]
async fn legacy_clients_get_tokens_by_the_password_grant() {
    each_database(|service| async move {
        service.register("ann").await;
        for (sent, claimed) in [
            ("tasker_backend", "tasker_backend"),
            ("tasker-backend", "tasker_backend"),
            ("tasker-worker", "tasker_worker"),
            ("tasker_worker", "tasker_worker"),
        ] {
            let form = [
                ("grant_type", "password"),
                ("username", "ann"),
                ("password", PASSWORD),
                ("client_id", sent),
            ];
            let response = service.post("/connect/token", &form).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{sent}, without a scope");
            let response: Value = response.json().await.unwrap();
            assert_eq!(response["scope"], "openid profile TaskerWebAPI");
            let claims = claims(response["access_token"].as_str().unwrap());
            assert_eq!(claims["client_id"], claimed);
            assert_eq!((&claims["roles"], &claims[LONG_ROLE]), (&json!(["User"]), &json!(["User"])));
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_response_is_not_cached_and_has_no_other_members() {
    each_database(|service| async move {
        service.register("ann").await;
        let response = service.request_token("ann", PASSWORD).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["pragma"], "no-cache");
        assert!(
            response.headers().contains_key("deprecation") && !response.headers().contains_key("set-cookie")
        );
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        let response: Value = response.json().await.unwrap();
        let members: HashSet<&str> = response.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, HashSet::from(["access_token", "token_type", "expires_in", "scope"]));
        assert_eq!((&response["token_type"], &response["expires_in"]), (&json!("Bearer"), &json!(3600)));
    })
    .await;
}

#[tokio::test]
async fn a_token_is_an_access_token_by_rfc_9068() {
    each_database(|service| async move {
        service.register("ann").await;
        let (first, second) = (service.token("ann").await, service.token("ann").await);
        assert_eq!((&header(&first)["typ"], &header(&first)["alg"]), (&json!("at+jwt"), &json!("RS256")));
        let claims = claims(&first);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(service.base), &json!("TaskerWebAPI")));
        assert!(uuid::Uuid::try_parse(claims["sub"].as_str().unwrap()).is_ok());
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_800_000_000), &json!(1_800_003_600)));
        assert_eq!(claims["amr"], json!(["pwd"]));
        assert_ne!(claims["jti"], crate::kit::claims(&second)["jti"]);
        let known =
            ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "roles", LONG_ROLE, "amr"];
        let known = known.into_iter().chain(["generation"]);
        let names: HashSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, known.collect(), "there are no other claims");
    })
    .await;
}

#[tokio::test]
async fn parameters_in_the_query_are_refused() {
    each_database(|service| async move {
        service.register("ann").await;
        let path = format!("/connect/token?password={}", PASSWORD.replace(' ', "+"));
        let form = [("grant_type", "password"), ("username", "ann"), ("client_id", "tasker_backend")];
        let refused = service.post(&path, &form).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
        let refused =
            service.post("/connect/token?x=1", &password_grant("ann", PASSWORD)).send().await.unwrap();
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_request");
    })
    .await;
}

#[tokio::test]
async fn only_form_bodies_are_accepted() {
    each_database(|service| async move {
        let json = json!({ "grant_type": "password", "username": "ann" });
        let refused = service.request("POST", "/connect/token").json(&json).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_request");
        let multipart =
            service.request("POST", "/connect/token").header(CONTENT_TYPE, "multipart/form-data; boundary=a");
        assert_eq!(
            multipart.body("--a--").send().await.unwrap().status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
    })
    .await;
}

#[tokio::test]
async fn repeated_and_missing_parameters_are_refused() {
    each_database(|service| async move {
        service.register("ann").await;
        for repeated in [("grant_type", "password"), ("client_id", "tasker_backend"), ("scope", "openid")] {
            let mut form = password_grant("ann", PASSWORD);
            form.push(repeated);
            let refused = service.post("/connect/token", &form).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
            assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_request");
        }
        for missing in ["grant_type", "username", "password", "client_id"] {
            let mut form = password_grant("ann", PASSWORD);
            form.retain(|(name, _)| *name != missing);
            let refused: Value =
                service.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
            assert_eq!(refused["error"], "invalid_request", "{missing}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_scope_is_refused_and_the_api_needs_its_scope() {
    each_database(|service| async move {
        service.register("ann").await;
        let request = |scope| {
            let mut form = password_grant("ann", PASSWORD);
            form.pop();
            form.push(("scope", scope));
            service.post("/connect/token", &form).send()
        };
        for scope in ["openid email", "offline_access", "taskerwebapi"] {
            let refused: Value = request(scope).await.unwrap().json().await.unwrap();
            assert_eq!(refused["error"], "invalid_scope", "{scope}");
        }
        let response: Value = request("openid").await.unwrap().json().await.unwrap();
        assert_eq!(response["scope"], "openid");
        assert_eq!(claims(response["access_token"].as_str().unwrap())["aud"], json!(service.base));
    })
    .await;
}

#[tokio::test]
async fn the_password_grant_is_for_legacy_clients_only() {
    each_database(|service| async move {
        service.register("ann").await;
        let mut form = password_grant("ann", PASSWORD);
        form.retain(|(name, _)| *name != "client_id");
        let robot = [("client_id", "robot"), ("client_secret", crate::kit::ROBOT_SECRET)];
        let refused =
            service.post("/connect/token", &[form.as_slice(), &robot].concat()).send().await.unwrap();
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "unauthorized_client");
        let form = [("grant_type", "client_credentials"), ("client_id", "tasker_backend")];
        let refused = service.post("/connect/token", &form).send().await.unwrap();
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "unauthorized_client");
        // A public client has no secret, so a request with one is refused.
        let mut form = password_grant("ann", PASSWORD);
        form.push(("client_secret", "x"));
        let refused = service.post("/connect/token", &form).send().await.unwrap();
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_client");
    })
    .await;
}

#[tokio::test]
async fn a_cross_site_request_gets_no_token() {
    each_database(|service| async move {
        service.register("ann").await;
        let request = service.post("/connect/token", &password_grant("ann", PASSWORD));
        let refused =
            request.header("origin", "https://evil.example").header(AUTHORIZATION, "").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        assert_eq!(refused.json::<Value>().await.unwrap()["error"], "invalid_request");
    })
    .await;
}
