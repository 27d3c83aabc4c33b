//! The authorization endpoint and the exchange of its codes (check list S27 to S42).

use reqwest::StatusCode;
use reqwest::header::{COOKIE, LOCATION};
use serde_json::{Value, json};
use tokio::join;

use crate::kit::{MINUTE, PASSWORD, SECOND, claims, cookie, each_database_with, header, location};
use crate::oauth_client::{
    APP, Browser, CALLBACK, SITE, SITE_SECRET, VERIFIER, add_clients, error, is_accepted, parameter, query,
    redeem, request, text,
};

#[tokio::test]
async fn a_person_signs_in_and_allows_a_client_which_gets_tokens() {
    each_database_with(add_clients, |service| async move {
        service.register("ann").await;
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(request(&[("nonce", "n&=")]))
            .finish();
        let path = format!("/connect/authorize?{query}");
        let to_login = service.get(&path).send().await.unwrap();
        let login = location(&to_login).to_owned();
        assert!(login.starts_with("/Auth/Login?ReturnUrl=%2Fconnect%2Fauthorize"), "{login}");
        let return_url = parameter(&login, "ReturnUrl").unwrap();
        let form = [("Username", "ann"), ("Password", PASSWORD), ("ReturnUrl", &*return_url)];
        let signed_in = service.post("/Auth/Login", &form).send().await.unwrap();
        let browser = Browser { cookie: cookie(&signed_in), service: service.clone() };
        let page = browser.get(location(&signed_in)).await;
        assert_eq!(page.status(), StatusCode::OK);
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("form-action 'self' https://app.example.org;"), "{policy}");
        let page = page.text().await.unwrap();
        assert!(
            page.contains("The &#60;App&#62;") && page.contains("Stay signed in until you end it"),
            "{page}"
        );

        let code = browser.code(&[("nonce", "n&=")]).await;
        let answer = redeem(&service, &code, &[]).await;
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let tokens: Value = answer.json().await.unwrap();
        assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert_eq!(text(&tokens, "scope"), "openid profile offline_access TaskerWebAPI");
        let (access, id) = (text(&tokens, "access_token"), text(&tokens, "id_token"));
        let (access_claims, id_claims) = (claims(access), claims(id));
        assert_eq!(header(access)["typ"], "at+jwt");
        assert_eq!(
            (&access_claims["aud"], &access_claims["client_id"]),
            (&json!("TaskerWebAPI"), &json!(APP))
        );
        assert_eq!((&id_claims["aud"], &id_claims["nonce"]), (&json!(APP), &json!("n&=")));
        assert_eq!((&id_claims["iss"], &id_claims["name"]), (&json!(service.base), &json!("ann")));
        assert_eq!(id_claims["auth_time"], json!(service.clock.now() / SECOND));
        let user: Value =
            service.get("/connect/userinfo").bearer_auth(access).send().await.unwrap().json().await.unwrap();
        assert_eq!((&user["sub"], &user["name"]), (&id_claims["sub"], &json!("ann")));
        assert!(!is_accepted(&service, id).await, "an ID token is no access token");
    })
    .await;
}

#[tokio::test]
async fn what_a_person_has_allowed_is_not_asked_again_and_more_is() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let less = [("scope", "openid profile")];
        browser.code(&less).await;
        let again = browser.authorize(&less).await;
        assert!(parameter(location(&again), "code").is_some(), "no question");
        assert_eq!(browser.authorize(&[]).await.status(), StatusCode::OK, "other scopes");
        assert_eq!(browser.authorize(&[less[0], ("prompt", "consent")]).await.status(), StatusCode::OK);
        let denied = browser.decide(&[], "deny").await;
        let answer = location(&denied).to_owned();
        assert_eq!(parameter(&answer, "error").as_deref(), Some("access_denied"));
        assert_eq!(parameter(&answer, "state").as_deref(), Some("a state"));
        assert_eq!(parameter(&answer, "iss"), Some(service.base.clone()));
        let other = Browser::register(&service, "bob").await;
        assert_eq!(
            other.authorize(&less).await.status(),
            StatusCode::OK,
            "another account has allowed nothing"
        );
    })
    .await;
}

/// S34: nobody is sent to an address that is not registered.
#[tokio::test]
async fn an_unknown_client_or_address_is_answered_with_a_page() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        for change in [
            ("client_id", ""),
            ("client_id", "nobody"),
            ("redirect_uri", ""),
            ("redirect_uri", "https://app.example.org/callback/"),
            ("redirect_uri", "https://app.example.org/callback?x=1"),
            ("redirect_uri", "https://evil.example/callback"),
            ("redirect_uri", "https://app.example.org@evil.example/callback"),
        ] {
            let answer = browser.authorize(&[change]).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{change:?}");
            assert!(answer.headers().get(LOCATION).is_none());
        }
    })
    .await;
}

/// S27, S28, S36, S37, S39: the client is told what its request lacks.
#[tokio::test]
async fn a_request_that_is_not_valid_is_refused_at_the_client() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        for (change, expected) in [
            (("response_type", "token"), "unsupported_response_type"),
            (("response_type", "code id_token"), "unsupported_response_type"),
            (("response_type", ""), "invalid_request"),
            (("response_mode", "form_post"), "invalid_request"),
            (("code_challenge", ""), "invalid_request"),
            (("code_challenge", "short"), "invalid_request"),
            (("code_challenge_method", ""), "invalid_request"),
            (("code_challenge_method", "plain"), "invalid_request"),
            (("scope", "openid email"), "invalid_scope"),
            (("request", "x"), "request_not_supported"),
            (("request_uri", "https://evil.example"), "request_uri_not_supported"),
            (("prompt", "none login"), "invalid_request"),
            (("prompt", "create"), "invalid_request"),
            (("prompt", "none"), "consent_required"),
            (("max_age", "-1"), "invalid_request"),
        ] {
            let answer = browser.authorize(&[change]).await;
            let address = location(&answer).to_owned();
            assert!(address.starts_with(CALLBACK), "{address}");
            assert_eq!(parameter(&address, "error").as_deref(), Some(expected), "{change:?}");
            assert_eq!(parameter(&address, "state").as_deref(), Some("a state"));
        }
        let nobody = Browser { service: service.clone(), cookie: String::new() };
        let answer = nobody.authorize(&[("prompt", "none")]).await;
        assert_eq!(parameter(location(&answer), "error").as_deref(), Some("login_required"));
        let unknown = browser.authorize(&[("foo", "bar"), ("display", "page"), ("ui_locales", "ru")]).await;
        assert_eq!(unknown.status(), StatusCode::OK, "unknown parameters are ignored");
        let twice = browser.get("/connect/authorize?client_id=app&client_id=app").await;
        assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
    })
    .await;
}

/// S37: `prompt=login` and `max_age`.
#[tokio::test]
async fn a_client_may_ask_for_a_new_sign_in() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let login = browser.authorize(&[("prompt", "login"), ("login_hint", "ann")]).await;
        let address = location(&login).to_owned();
        let page = browser.get(&address).await;
        assert_eq!(page.status(), StatusCode::OK, "also for somebody who is signed in");
        assert!(page.text().await.unwrap().contains(r#"value="ann""#));
        assert!(!parameter(&address, "ReturnUrl").unwrap().contains("prompt"));
        service.clock.advance(10 * SECOND);
        assert_eq!(browser.authorize(&[("max_age", "10")]).await.status(), StatusCode::OK);
        service.clock.advance(SECOND);
        let too_old = browser.authorize(&[("max_age", "10")]).await;
        assert!(location(&too_old).starts_with("/Auth/Login?"));
        let silent = browser.authorize(&[("max_age", "10"), ("prompt", "none")]).await;
        assert_eq!(parameter(location(&silent), "error").as_deref(), Some("login_required"));
    })
    .await;
}

/// S29, S33: a code is worthless to another client, for another address and without its verifier, and used up by the attempt.
#[tokio::test]
async fn a_code_that_is_misused_is_used_up() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let (long, longer) = ("a".repeat(128), "a".repeat(129));
        for change in [
            ("code_verifier", "another-verifier-of-more-than-forty-three-chars"),
            ("code_verifier", &VERIFIER[..42]),
            ("code_verifier", &long),
            ("code_verifier", &longer),
            ("redirect_uri", "https://site.example.org/cb?site=1"),
            ("client_id", "tasker-cli"),
        ] {
            let code = browser.code(&[("prompt", "consent")]).await;
            assert_eq!(error(redeem(&service, &code, &[change]).await).await, "invalid_grant", "{change:?}");
            assert_eq!(
                error(redeem(&service, &code, &[]).await).await,
                "invalid_grant",
                "used up by {change:?}"
            );
        }
        for missing in ["code", "redirect_uri", "code_verifier"] {
            let refused = redeem(&service, "x", &[(missing, "")]).await;
            assert_eq!(error(refused).await, "invalid_request", "{missing}");
        }
        let expired = browser.code(&[("prompt", "consent")]).await;
        service.clock.advance(MINUTE);
        assert_eq!(error(redeem(&service, &expired, &[]).await).await, "invalid_grant");
    })
    .await;
}

/// S30: one of the two is a thief.
#[tokio::test]
async fn a_code_that_is_used_twice_ends_the_tokens_of_the_first_use() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let code = browser.code(&[]).await;
        let tokens: Value = redeem(&service, &code, &[]).await.json().await.unwrap();
        let access = text(&tokens, "access_token");
        assert!(is_accepted(&service, access).await);
        assert_eq!(error(redeem(&service, &code, &[]).await).await, "invalid_grant");
        assert!(!is_accepted(&service, access).await);
        let revoked = service.json("/connect/revocations").await;
        assert_eq!(revoked["revocations"].as_array().unwrap().len(), 1, "Backends are told: {revoked}");
    })
    .await;
}

/// S31
#[tokio::test]
async fn of_two_uses_of_a_code_at_once_one_succeeds() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        for _ in 0..5 {
            let code = browser.code(&[("prompt", "consent")]).await;
            let (first, second) = join!(redeem(&service, &code, &[]), redeem(&service, &code, &[]));
            let succeeded = [first, second].iter().filter(|answer| answer.status() == StatusCode::OK).count();
            assert_eq!(succeeded, 1);
        }
    })
    .await;
}

/// S38
#[tokio::test]
async fn the_state_comes_back_unchanged() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let state: String = (0..128).map(|index| char::from(b' ' + index % 95)).collect();
        let denied = browser.decide(&[("state", &state)], "deny").await;
        assert_eq!(parameter(location(&denied), "state"), Some(state));
    })
    .await;
}

#[tokio::test]
async fn a_client_with_a_secret_gets_no_tokens_without_it() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let site = [
            ("client_id", SITE),
            ("redirect_uri", "https://site.example.org/cb?site=1"),
            ("scope", "openid"),
        ];
        let answer = browser.authorize(&site).await;
        let address = location(&answer).to_owned();
        assert!(address.starts_with("https://site.example.org/cb?site=1&code="), "no consent: {address}");
        let code = parameter(&address, "code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", site[1].1),
            ("code_verifier", VERIFIER),
        ];
        let without = [&form[..], &[("client_id", SITE)]].concat();
        let refused = service.post("/connect/token", &without).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        let granted =
            service.post("/connect/token", &form).basic_auth(SITE, Some(SITE_SECRET)).send().await.unwrap();
        let tokens: Value = granted.json().await.unwrap();
        assert_eq!(text(&tokens, "scope"), "openid");
        assert!(tokens["refresh_token"].is_null(), "it was not asked for");
        assert_eq!(claims(text(&tokens, "access_token"))["aud"], json!(service.base), "the API refuses it");
        assert!(claims(text(&tokens, "id_token"))["name"].is_null(), "without `profile`");
        let foreign = browser.authorize(&[site[0], site[1], ("scope", "TaskerWebAPI")]).await;
        assert_eq!(parameter(location(&foreign), "error").as_deref(), Some("invalid_scope"));
    })
    .await;
}

#[tokio::test]
async fn a_request_may_be_a_form_which_the_browser_sends_again_by_get() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let form = request(&[]);
        let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        let answer = browser.post("/connect/authorize", &fields).await;
        let mut sent = query(location(&answer));
        let mut expected = form.clone();
        sent.sort();
        expected.sort();
        assert_eq!(sent, expected);
        assert_eq!(browser.get(location(&answer)).await.status(), StatusCode::OK);
    })
    .await;
}

/// S55: a person whose password was changed has allowed nothing any more.
#[tokio::test]
async fn a_code_from_before_a_change_of_the_password_is_refused() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let code = browser.code(&[]).await;
        let change = [
            ("Password", PASSWORD),
            ("NewPassword", "another horse battery"),
            ("ConfirmPassword", "another horse battery"),
        ];
        let changed =
            service.post("/Auth/Password", &change).header(COOKIE, &browser.cookie).send().await.unwrap();
        assert_eq!(changed.status(), StatusCode::SEE_OTHER);
        assert_eq!(error(redeem(&service, &code, &[]).await).await, "invalid_grant");
    })
    .await;
}
