//! The discovery document (RFC 8414): what it lists is what is implemented.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::kit::each_database;

#[tokio::test]
async fn discovery_lists_what_is_implemented() {
    each_database(|service| async move {
        let base = &service.base;
        let found = service.json("/.well-known/openid-configuration").await;
        assert_eq!(found["issuer"], json!(base));
        assert_eq!(found["token_endpoint"], json!(format!("{base}/connect/token")));
        assert_eq!(found["userinfo_endpoint"], json!(format!("{base}/connect/userinfo")));
        assert_eq!(found["jwks_uri"], json!(format!("{base}/.well-known/openid-configuration/jwks")));
        assert_eq!(found["scopes_supported"], json!(["openid", "profile", "offline_access", "TaskerWebAPI"]));
        let members = found.as_object().unwrap();
        let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        assert!(!members.values().any(is_empty), "RFC 8414, section 3.2: {found}");
        assert_eq!(found["response_types_supported"], json!(["code"]));
        assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(found["authorization_response_iss_parameter_supported"], json!(true));
        for (member, path) in [
            ("authorization_endpoint", "/connect/authorize"),
            ("end_session_endpoint", "/connect/endsession"),
            ("introspection_endpoint", "/connect/introspect"),
            ("revocation_endpoint", "/connect/revocation"),
            ("device_authorization_endpoint", "/connect/deviceauthorization"),
        ] {
            assert_eq!(found[member], json!(format!("{base}{path}")));
            assert_ne!(service.get(path).send().await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
        }
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
        let listed = found["grant_types_supported"].as_array().unwrap();
        for grant in listed {
            let form = [("grant_type", grant.as_str().unwrap()), ("client_id", "tasker-cli")];
            let refused = service.post("/connect/token", &form).send().await.unwrap();
            let error = refused.json::<Value>().await.unwrap()["error"].clone();
            assert!(error == "invalid_request" || error == "unauthorized_client", "{grant}: {error}");
        }
        for grant in ["implicit", "urn:ietf:params:oauth:grant-type:token-exchange", "Password"] {
            let form = [("grant_type", grant), ("client_id", "tasker_backend")];
            let refused = service.post("/connect/token", &form).send().await.unwrap();
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
            assert_eq!(refused.json::<Value>().await.unwrap()["error"], "unsupported_grant_type");
        }
    })
    .await;
}
