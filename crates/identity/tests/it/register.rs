//! The registration page: who may register, and who becomes an administrator.

use database::on;
use identity::OpenRegistration;
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use reqwest::{Response, StatusCode};
use serde_json::json;

use crate::kit::{PASSWORD, each_database, each_database_with, location};

/// Another password that the policy accepts.
const NEW: &str = "seven green herons";

#[tokio::test]
async fn a_new_account_has_the_role_user_and_is_redirected_to_the_login_page() {
    each_database(|service| async move {
        let answer = service.register_with_fields("ann", &[]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        let answer =
            service.register_with_fields("bob", &[("ReturnUrl", "Login"), ("IsAdmin", "false")]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        let answer = service.register_with_fields("eve", &[("ReturnUrl", "/connect/authorize?a=b")]).await;
        assert_eq!(location(&answer), "/Auth/Login?ReturnUrl=%2Fconnect%2Fauthorize%3Fa%3Db");
        for name in ["ann", "bob", "eve"] {
            assert_eq!(service.roles(name).await, ["User"]);
        }
    })
    .await;
}

#[tokio::test]
async fn after_a_form_the_next_page_says_once_what_was_done() {
    each_database(|service| async move {
        let get =
            async |path: &str, cookies: &str| service.get(path).header(COOKIE, cookies).send().await.unwrap();
        let created = service.register_with_fields("Ann", &[]).await;
        let login = get("/Auth/Login", &notice(&created)).await;
        assert_eq!(notice(&login), "tasker-notice=", "the cookie is deleted");
        let login = login.text().await.unwrap();
        assert!(login.contains(r#"role="status">The account Ann is created."#), "{login}");
        assert!(login.contains(r#"value="Ann""#), "the name is filled in");
        assert!(!service.page("/Auth/Login").await.contains("is created"));
        let forged = get("/Auth/Login", "tasker-notice=account-created:<script>").await.text().await.unwrap();
        assert!(!forged.contains("script"));

        service.register_admin("root").await;
        let session = service.sign_in("root").await;
        let fields = [("Username", "bob"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD)];
        let created = service.post("/Auth/Register", &fields).header(COOKIE, &session).send().await.unwrap();
        let cookies = format!("{session}; {}", notice(&created));
        let to_home = get("/Auth/Login", &cookies).await;
        assert_eq!(location(&to_home), "/", "an administrator stays signed in");
        assert!(get("/", &cookies).await.text().await.unwrap().contains("The account bob is created."));

        let fields = [("Password", PASSWORD), ("NewPassword", NEW), ("ConfirmPassword", NEW)];
        let changed = service.post("/Auth/Password", &fields).header(COOKIE, &session).send().await.unwrap();
        let session = cookies_of(&changed).find(|cookie| cookie.starts_with("tasker-identity")).unwrap();
        let home = get("/", &format!("{session}; {}", notice(&changed))).await;
        assert!(home.text().await.unwrap().contains("The password is changed."));
        let left = service.post("/Auth/Logout", &[]).header(COOKIE, session).send().await.unwrap();
        let login = get("/Auth/Login", &notice(&left)).await.text().await.unwrap();
        assert!(login.contains("You are signed out."));
    })
    .await;
}

/// The cookies that a response sets, each as `name=value`.
fn cookies_of(answer: &Response) -> impl Iterator<Item = String> {
    let cookies = answer.headers().get_all(SET_COOKIE).iter();
    cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned())
}

/// The cookie with the notice that a response sets.
fn notice(answer: &Response) -> String {
    cookies_of(answer).find(|cookie| cookie.starts_with("tasker-notice")).expect("a notice")
}

#[tokio::test]
async fn the_setup_link_registers_the_first_administrator() {
    each_database(|service| async move {
        let link = service.identity.setup_link().await.unwrap().unwrap();
        assert!(link.starts_with(&format!("{}/Auth/Register?ReturnUrl=Login&setup=", service.base)));
        let page = service.page(link.strip_prefix(&service.base).unwrap()).await;
        assert!(page.contains("first administrator") && page.contains(" checked"), "{page}");
        let (_, token) = link.split_once("setup=").unwrap();
        let without_full_access = service.register_with_fields("ann", &[("setup", token)]).await;
        assert_eq!(without_full_access.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let answer = service.register_with_fields("ann", &[("IsAdmin", "true"), ("setup", token)]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        assert_eq!(service.roles("ann").await, ["User", "Admin"]);
        assert!(service.identity.setup_link().await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn the_token_in_the_query_works_in_a_post_too() {
    each_database(|service| async move {
        let path = format!("/Auth/Register?ReturnUrl=Login&setup={}", service.setup_token().await);
        let form =
            [("Username", "ann"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD), ("IsAdmin", "true")];
        assert_eq!(location(&service.post(&path, &form).send().await.unwrap()), "/Auth/Login");
        assert_eq!(service.roles("ann").await, ["User", "Admin"]);
    })
    .await;
}

#[tokio::test]
async fn full_access_without_a_token_is_refused_and_creates_nothing() {
    each_database(|service| async move {
        let refused = service.register_with_fields("eve", &[("IsAdmin", "true")]).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let page = refused.text().await.unwrap();
        for option in ["setup link", "invitation", "administrator who is signed in"] {
            assert!(page.contains(option), "{option}");
        }
        assert!(page.contains(r#"value="eve""#), "the user name is kept");
        assert!(!page.contains(PASSWORD));
        assert_eq!(service.count_accounts().await, 0);
    })
    .await;
}

#[tokio::test]
async fn no_other_field_or_spelling_grants_full_access() {
    each_database(|service| async move {
        let ignored =
            [("Role", "Admin"), ("roles[]", "Admin"), ("isadmin", "true"), ("sub", "x"), ("role", "Admin")];
        for (index, field) in ignored.into_iter().enumerate() {
            let name = format!("user{index}");
            assert_eq!(location(&service.register_with_fields(&name, &[field]).await), "/Auth/Login");
            assert_eq!(service.roles(&name).await, ["User"]);
        }
        for text in ["on", "1", "yes", "True", "TRUE", "true,false"] {
            let refused = service.register_with_fields("eve", &[("IsAdmin", text)]).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        }
        let twice = service.register_with_fields("eve", &[("IsAdmin", "true"), ("IsAdmin", "false")]).await;
        assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
        let json = json!({ "Username": "eve", "Password": PASSWORD, "IsAdmin": true });
        let json = service.request("POST", "/Auth/Register").json(&json).send().await.unwrap();
        assert_eq!(json.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let form = [("Username", "query"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD)];
        let query = service.post("/Auth/Register?IsAdmin=true&Role=Admin", &form).send().await.unwrap();
        assert_eq!(location(&query), "/Auth/Login");
        assert_eq!(service.roles("query").await, ["User"]);
        assert!(!service.can_sign_in("eve").await);
    })
    .await;
}

#[tokio::test]
async fn a_signed_in_administrator_registers_administrators() {
    each_database(|service| async move {
        service.register_admin("ann").await;
        let session = service.sign_in("ann").await;
        let form =
            [("Username", "bob"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD), ("IsAdmin", "true")];
        let answer = service.post("/Auth/Register", &form).header(COOKIE, session).send().await.unwrap();
        assert_eq!(location(&answer), "/Auth/Login");
        assert_eq!(service.roles("bob").await, ["User", "Admin"]);
    })
    .await;
}

#[tokio::test]
async fn registration_can_be_closed() {
    let closed = |settings: &mut identity::Settings| settings.open_registration = OpenRegistration::None;
    each_database_with(closed, |service| async move {
        assert_eq!(service.get("/Auth/Register").send().await.unwrap().status(), StatusCode::FORBIDDEN);
        assert_eq!(service.register_with_fields("eve", &[]).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(
            service.register_with_fields("eve", &[("IsAdmin", "true")]).await.status(),
            StatusCode::FORBIDDEN
        );
        service.register_admin("ann").await;
        let session = service.sign_in("ann").await;
        let token = service.invite(&session, "User").await;
        assert_eq!(
            service.register_with_fields("bob", &[("invitation", &token)]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(service.count_accounts().await, 2);
    })
    .await;
}

#[tokio::test]
async fn full_registration_grants_full_access_to_everyone() {
    let full = |settings: &mut identity::Settings| settings.open_registration = OpenRegistration::Full;
    each_database_with(full, |service| async move {
        let setup = service.setup_token().await;
        assert_eq!(
            service.register_with_fields("ann", &[("IsAdmin", "true")]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(
            service.register_with_fields("bob", &[("IsAdmin", "true")]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(service.register_with_fields("eve", &[]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(service.roles("bob").await, ["User", "Admin"]);
        assert_eq!(service.roles("eve").await, ["User"]);
        let late = service.register_with_fields("late", &[("IsAdmin", "true"), ("setup", &setup)]).await;
        assert_eq!(late.status(), StatusCode::FORBIDDEN, "there is an administrator already");
    })
    .await;
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_taken() {
    each_database(|service| async move {
        service.register("Ann").await;
        let taken = service.register_with_fields("aNN", &[]).await;
        assert_eq!(taken.status(), StatusCode::CONFLICT);
        assert!(taken.text().await.unwrap().contains("This user name is taken."));
        assert!(service.can_sign_in("ANN").await);
    })
    .await;
}

#[tokio::test]
async fn errors_are_shown_beside_their_fields() {
    each_database(|service| async move {
        let form = [("Username", "a b"), ("Password", "password"), ("ConfirmPassword", "passwort")];
        let refused = service.post("/Auth/Register", &form).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html; charset=utf-8"));
        let page = refused.text().await.unwrap();
        for id in ["Username-error", "Password-error", "ConfirmPassword-error"] {
            assert!(
                page.contains(&format!(r#"aria-describedby="{id}""#))
                    && page.contains(&format!(r#"id="{id}""#))
            );
        }
        assert!(page.contains("too common"));
        assert!(!page.contains(r#"value="password""#), "passwords are not sent back");
    })
    .await;
}

#[tokio::test]
async fn the_database_stores_digests_and_hashes_only() {
    each_database(|service| async move {
        let token = service.setup_token().await;
        service.register_with_fields("ann", &[("IsAdmin", "true"), ("setup", &token)]).await;
        let session = service.sign_in("ann").await;
        let (_, secret) = session.split_once('=').unwrap();
        let (hash,): (String,) = on!(&service.db, read, pool =>
            sqlx::query_as("select password_hash from account").fetch_one(pool).await)
        .unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{hash}");
        let digests: Vec<(Vec<u8>,)> = on!(&service.db, read, pool =>
            sqlx::query_as("select digest from registration_token union all select digest from session").fetch_all(pool).await)
        .unwrap();
        assert_eq!(digests.len(), 2);
        assert!(secret.len() == 43 && token.len() == 43, "256 bits");
        assert!(digests.iter().all(|(digest,)| digest.len() == 32 && digest != secret.as_bytes()));
    })
    .await;
}
