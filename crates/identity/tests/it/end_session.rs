//! Signing out at the request of a client (OpenID Connect RP-Initiated Logout; check list S56 to S58).

use reqwest::StatusCode;
use reqwest::header::LOCATION;

use crate::kit::{each_database_with, location};
use crate::oauth_client::{
    Browser, SITE, SITE_SECRET, SITE_SIGNED_OUT, VERIFIER, add_clients, parameter, text,
};

/// An ID token of [`SITE`].
async fn id_token(browser: &Browser) -> String {
    let uri = "https://site.example.org/cb?site=1";
    let answer = browser.authorize(&[("client_id", SITE), ("redirect_uri", uri), ("scope", "openid")]).await;
    let code = parameter(location(&answer), "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", uri),
        ("code_verifier", VERIFIER),
    ];
    let request = browser.service.post("/connect/token", &form).basic_auth(SITE, Some(SITE_SECRET));
    let tokens: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    text(&tokens, "id_token").to_owned()
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/").await.status() == StatusCode::OK
}

fn path(parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/connect/endsession?{query}")
}

#[tokio::test]
async fn a_client_that_knows_the_person_signs_them_out_and_gets_them_back() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let hint = id_token(&browser).await;
        let parameters =
            [("id_token_hint", &*hint), ("post_logout_redirect_uri", SITE_SIGNED_OUT), ("state", "s&=")];
        let answer = browser.get(&path(&parameters)).await;
        assert_eq!(location(&answer), format!("{SITE_SIGNED_OUT}?state=s%26%3D"));
        assert!(!is_signed_in(&browser).await);
        let again = browser.get(&path(&parameters)).await;
        assert_eq!(location(&again), format!("{SITE_SIGNED_OUT}?state=s%26%3D"), "signed out already");
    })
    .await;
}

/// S56, S57
#[tokio::test]
async fn without_a_proof_the_person_is_asked_and_sent_to_registered_addresses_only() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let hint = id_token(&browser).await;
        let mut tampered = hint.clone();
        tampered.replace_range(hint.len() - 3.., "AAA");
        let other = Browser::register(&service, "bob").await;
        let foreign = id_token(&other).await;
        for parameters in [
            &[][..],
            &[("client_id", SITE), ("post_logout_redirect_uri", SITE_SIGNED_OUT)],
            &[("id_token_hint", &*tampered), ("post_logout_redirect_uri", SITE_SIGNED_OUT)],
            &[("id_token_hint", &*foreign)],
        ] {
            let page = browser.get(&path(parameters)).await;
            assert_eq!(page.status(), StatusCode::OK, "{parameters:?}");
            assert!(page.headers().get(LOCATION).is_none() && is_signed_in(&browser).await);
        }
        let unregistered = [("id_token_hint", &*hint), ("post_logout_redirect_uri", "https://evil.example")];
        assert_eq!(location(&browser.get(&path(&unregistered)).await), "/Auth/Login");
        let request = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", SITE), ("post_logout_redirect_uri", SITE_SIGNED_OUT)])
            .finish();
        let confirmed =
            other.post("/connect/endsession", &[("request", &request), ("confirmed", "true")]).await;
        assert_eq!(location(&confirmed), SITE_SIGNED_OUT);
        let plain = browser.post("/connect/endsession", &[("request", ""), ("confirmed", "true")]).await;
        assert_eq!(location(&plain), "/Auth/Login", "a request without parameters");
        assert!(!is_signed_in(&other).await);
    })
    .await;
}
