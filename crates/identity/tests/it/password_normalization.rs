//! A password is the same in each Unicode normalization form.

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

use crate::kit::each_database;

#[tokio::test]
async fn a_password_is_the_same_however_its_characters_are_composed() {
    each_database(|service| async move {
        let (composed, decomposed) = ("caf\u{e9} cr\u{e8}me", "cafe\u{301}\u{a0}cre\u{300}me");
        let form = [("Username", " ann "), ("Password", composed), ("ConfirmPassword", composed)];
        let registered = service.post("/Auth/Register", &form).send().await.unwrap();
        assert_eq!(registered.status(), StatusCode::SEE_OTHER);
        for (name, password) in [("ann", composed), ("ann", decomposed), (" ann", decomposed)] {
            assert_eq!(service.request_token(name, password).await.status(), StatusCode::OK, "{password}");
        }
        assert_eq!(service.request_token("ann", "cafe creme").await.status(), StatusCode::BAD_REQUEST);
        let request = service.request("POST", "/connect/token");
        let body = "grant_type=password&client_id=tasker_backend&username=ann&password=%FF";
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["error"], "invalid_request", "{answer}");
    })
    .await;
}
