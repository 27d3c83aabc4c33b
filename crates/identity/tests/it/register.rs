//! Registering, and who becomes an administrator by it.

use database::on;
use identity::OpenRegistration;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, COOKIE};
use serde_json::json;

use crate::kit::{PASSWORD, each_database, each_database_with, location};

#[tokio::test]
async fn s77_whoever_registers_is_a_user_and_is_led_to_the_login_page() {
    each_database(|house| async move {
        let answer = house.register_with("ann", &[]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        let answer = house.register_with("bob", &[("ReturnUrl", "Login"), ("IsAdmin", "false")]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        let answer = house.register_with("eve", &[("ReturnUrl", "/connect/authorize?a=b")]).await;
        assert_eq!(location(&answer), "/Auth/Login?ReturnUrl=%2Fconnect%2Fauthorize%3Fa%3Db");
        for name in ["ann", "bob", "eve"] {
            assert_eq!(house.roles(name).await, ["User"]);
        }
    })
    .await;
}

#[tokio::test]
async fn s78_the_setup_link_makes_the_first_administrator() {
    each_database(|house| async move {
        let link = house.identity.setup_link().await.unwrap().unwrap();
        assert!(link.starts_with(&format!("{}/Auth/Register?ReturnUrl=Login&setup=", house.base)));
        let page = house.page(link.strip_prefix(&house.base).unwrap()).await;
        assert!(page.contains("first administrator") && page.contains(" checked"), "{page}");
        let (_, token) = link.split_once("setup=").unwrap();
        let without_box = house.register_with("ann", &[("setup", token)]).await;
        assert_eq!(without_box.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let answer = house.register_with("ann", &[("IsAdmin", "true"), ("setup", token)]).await;
        assert_eq!(location(&answer), "/Auth/Login");
        assert_eq!(house.roles("ann").await, ["User", "Admin"]);
        assert!(house.identity.setup_link().await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn s78_the_links_query_works_in_a_post_too() {
    each_database(|house| async move {
        let path = format!("/Auth/Register?ReturnUrl=Login&setup={}", house.setup_token().await);
        let form =
            [("Username", "ann"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD), ("IsAdmin", "true")];
        assert_eq!(location(&house.post(&path, &form).send().await.unwrap()), "/Auth/Login");
        assert_eq!(house.roles("ann").await, ["User", "Admin"]);
    })
    .await;
}

#[tokio::test]
async fn s79_the_box_alone_is_refused_and_nothing_is_made() {
    each_database(|house| async move {
        let refused = house.register_with("eve", &[("IsAdmin", "true")]).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let page = refused.text().await.unwrap();
        for way in ["setup link", "invitation", "administrator who is signed in"] {
            assert!(page.contains(way), "{way}");
        }
        assert!(page.contains(r#"value="eve""#), "what was typed is still there");
        assert!(!page.contains(PASSWORD));
        assert_eq!(house.accounts().await, 0);
    })
    .await;
}

#[tokio::test]
async fn s80_no_other_field_or_spelling_makes_an_administrator() {
    each_database(|house| async move {
        let ignored =
            [("Role", "Admin"), ("roles[]", "Admin"), ("isadmin", "true"), ("sub", "x"), ("role", "Admin")];
        for (index, field) in ignored.into_iter().enumerate() {
            let name = format!("user{index}");
            assert_eq!(location(&house.register_with(&name, &[field]).await), "/Auth/Login");
            assert_eq!(house.roles(&name).await, ["User"]);
        }
        for text in ["on", "1", "yes", "True", "TRUE", "true,false"] {
            let refused = house.register_with("eve", &[("IsAdmin", text)]).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{text}");
        }
        let twice = house.register_with("eve", &[("IsAdmin", "true"), ("IsAdmin", "false")]).await;
        assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
        let json = json!({ "Username": "eve", "Password": PASSWORD, "IsAdmin": true });
        let json = house.request("POST", "/Auth/Register").json(&json).send().await.unwrap();
        assert_eq!(json.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let form = [("Username", "query"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD)];
        let query = house.post("/Auth/Register?IsAdmin=true&Role=Admin", &form).send().await.unwrap();
        assert_eq!(location(&query), "/Auth/Login");
        assert_eq!(house.roles("query").await, ["User"]);
        assert!(!house.knows("eve").await);
    })
    .await;
}

#[tokio::test]
async fn a_signed_in_administrator_makes_administrators() {
    each_database(|house| async move {
        house.register_admin("ann").await;
        let session = house.sign_in("ann").await;
        let form =
            [("Username", "bob"), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD), ("IsAdmin", "true")];
        let answer = house.post("/Auth/Register", &form).header(COOKIE, session).send().await.unwrap();
        assert_eq!(location(&answer), "/Auth/Login");
        assert_eq!(house.roles("bob").await, ["User", "Admin"]);
    })
    .await;
}

#[tokio::test]
async fn registration_can_be_closed() {
    let closed = |settings: &mut identity::Settings| settings.open_registration = OpenRegistration::None;
    each_database_with(closed, |house| async move {
        assert_eq!(house.get("/Auth/Register").send().await.unwrap().status(), StatusCode::FORBIDDEN);
        assert_eq!(house.register_with("eve", &[]).await.status(), StatusCode::FORBIDDEN);
        assert_eq!(house.register_with("eve", &[("IsAdmin", "true")]).await.status(), StatusCode::FORBIDDEN);
        house.register_admin("ann").await;
        let session = house.sign_in("ann").await;
        let token = house.invite(&session, "User").await;
        assert_eq!(
            house.register_with("bob", &[("invitation", &token)]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(house.accounts().await, 2);
    })
    .await;
}

#[tokio::test]
async fn registration_can_be_open_to_all_as_in_the_original() {
    let full = |settings: &mut identity::Settings| settings.open_registration = OpenRegistration::Full;
    each_database_with(full, |house| async move {
        let setup = house.setup_token().await;
        assert_eq!(house.register_with("ann", &[("IsAdmin", "true")]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(house.register_with("bob", &[("IsAdmin", "true")]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(house.register_with("eve", &[]).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(house.roles("bob").await, ["User", "Admin"]);
        assert_eq!(house.roles("eve").await, ["User"]);
        let late = house.register_with("late", &[("IsAdmin", "true"), ("setup", &setup)]).await;
        assert_eq!(late.status(), StatusCode::FORBIDDEN, "there is an administrator already");
    })
    .await;
}

#[tokio::test]
async fn s86_a_name_exists_once_whatever_its_case() {
    each_database(|house| async move {
        house.register("Ann").await;
        let taken = house.register_with("aNN", &[]).await;
        assert_eq!(taken.status(), StatusCode::CONFLICT);
        assert!(taken.text().await.unwrap().contains("This user name is taken."));
        assert!(house.knows("ANN").await);
    })
    .await;
}

#[tokio::test]
async fn s100_what_is_wrong_is_said_beside_its_field() {
    each_database(|house| async move {
        let form = [("Username", "a b"), ("Password", "password"), ("ConfirmPassword", "passwort")];
        let refused = house.post("/Auth/Register", &form).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.headers()[CONTENT_TYPE].to_str().unwrap().starts_with("text/html; charset=utf-8"));
        let page = refused.text().await.unwrap();
        for id in ["Username-error", "Password-error", "ConfirmPassword-error"] {
            assert!(
                page.contains(&format!(r#"aria-describedby="{id}""#))
                    && page.contains(&format!(r#"id="{id}""#))
            );
        }
        assert!(page.contains("one of the first that anyone would try"));
        assert!(!page.contains(r#"value="password""#), "passwords are not sent back");
    })
    .await;
}

#[tokio::test]
async fn s47_s102_the_database_holds_digests_and_hashes_only() {
    each_database(|house| async move {
        let token = house.setup_token().await;
        house.register_with("ann", &[("IsAdmin", "true"), ("setup", &token)]).await;
        let session = house.sign_in("ann").await;
        let (_, secret) = session.split_once('=').unwrap();
        let (hash,): (String,) = on!(&house.db, read, pool =>
            sqlx::query_as("select password from account").fetch_one(pool).await)
        .unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{hash}");
        let digests: Vec<(Vec<u8>,)> = on!(&house.db, read, pool =>
            sqlx::query_as("select digest from proof union all select digest from session").fetch_all(pool).await)
        .unwrap();
        assert_eq!(digests.len(), 2);
        assert!(secret.len() == 43 && token.len() == 43, "256 bits");
        assert!(digests.iter().all(|(digest,)| digest.len() == 32 && digest != secret.as_bytes()));
    })
    .await;
}
