//! Signing in and out with a browser.

use database::on;
use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};

use crate::kit::{HOUR, House, MINUTE, PASSWORD, cookie, each_database, each_database_with, location};

/// Whether a cookie still is somebody's.
async fn is_signed_in(house: &House, session: &str) -> bool {
    house.get("/").header(COOKIE, session).send().await.unwrap().status() == StatusCode::OK
}

#[tokio::test]
async fn a_signed_in_person_sees_who_they_are() {
    each_database(|house| async move {
        assert_eq!(location(&house.get("/").send().await.unwrap()), "/Auth/Login");
        house.register_admin("Ann").await;
        let session = house.sign_in("ann").await;
        let page = house.get("/").header(COOKIE, &session).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Hello, Ann") && page.contains("Admin") && page.contains("Sign out"));
        let login = house.get("/Auth/Login").header(COOKIE, &session).send().await.unwrap();
        assert_eq!(location(&login), "/", "who is signed in needs no login page");
    })
    .await;
}

#[tokio::test]
async fn s88_the_cookie_changes_at_sign_in_and_the_old_one_dies() {
    each_database(|house| async move {
        house.register("ann").await;
        let first = house.sign_in("ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let again = house.post("/Auth/Login", &form).header(COOKIE, &first).send().await.unwrap();
        let second = cookie(&again);
        assert_ne!(first, second);
        assert!(!is_signed_in(&house, &first).await && is_signed_in(&house, &second).await);
        let planted = "tasker-identity=planted";
        let answer = house.post("/Auth/Login", &form).header(COOKIE, planted).send().await.unwrap();
        assert_ne!(cookie(&answer), planted);
        assert!(!is_signed_in(&house, planted).await);
    })
    .await;
}

#[tokio::test]
async fn s89_the_cookie_is_out_of_reach() {
    each_database(|house| async move {
        house.register("ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let answer = house.post("/Auth/Login", &form).send().await.unwrap();
        let set = answer.headers()[SET_COOKIE].to_str().unwrap();
        let (name, flags) = (set.split('=').next().unwrap(), set.split_once("; ").unwrap().1);
        assert_eq!((name, flags), ("tasker-identity", "Path=/; HttpOnly; SameSite=Lax"));
    })
    .await;
    let https = |settings: &mut identity::Settings| settings.issuer = "https://id.example.org".to_owned();
    each_database_with(https, |house| async move {
        house.register("ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let answer = house.post("/Auth/Login", &form).send().await.unwrap();
        let set = answer.headers()[SET_COOKIE].to_str().unwrap();
        let (name, flags) = (set.split('=').next().unwrap(), set.split_once("; ").unwrap().1);
        assert_eq!((name, flags), ("__Host-tasker-identity", "Path=/; HttpOnly; SameSite=Lax; Secure"));
        assert!(answer.headers()["strict-transport-security"].to_str().unwrap().contains("31536000"));
    })
    .await;
}

#[tokio::test]
async fn s58_signing_out_is_real_and_needs_a_post() {
    each_database(|house| async move {
        house.register("ann").await;
        let session = house.sign_in("ann").await;
        let get = house.get("/Auth/Logout").header(COOKIE, &session).send().await.unwrap();
        assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert!(is_signed_in(&house, &session).await);
        let out = house.post("/Auth/Logout", &[]).header(COOKIE, &session).send().await.unwrap();
        assert_eq!(location(&out), "/Auth/Login");
        assert!(out.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
        assert!(!is_signed_in(&house, &session).await);
        let stranger = house.post("/Auth/Logout", &[]).send().await.unwrap();
        assert_eq!(location(&stranger), "/Auth/Login");
    })
    .await;
}

#[tokio::test]
async fn s95_a_session_ends_unused_and_ends_anyway() {
    each_database(|house| async move {
        house.register("ann").await;
        let idle = house.sign_in("ann").await;
        house.clock.advance(2 * HOUR);
        assert!(!is_signed_in(&house, &idle).await);
        let used = house.sign_in("ann").await;
        for _ in 0..11 {
            house.clock.advance(HOUR);
            assert!(is_signed_in(&house, &used).await);
        }
        house.clock.advance(HOUR);
        assert!(!is_signed_in(&house, &used).await);
        house.identity.run_maintenance_once().await.unwrap();
        let rows: Vec<(i64,)> = on!(&house.db, read, pool =>
            sqlx::query_as("select count(*) from session").fetch_all(pool).await)
        .unwrap();
        assert_eq!(rows, [(0,)], "what has ended is forgotten");
    })
    .await;
}

#[tokio::test]
async fn s55_a_disabled_account_is_signed_out_at_once() {
    each_database(|house| async move {
        house.register("ann").await;
        let session = house.sign_in("ann").await;
        house.clock.advance(MINUTE);
        on!(&house.db, write, pool => sqlx::query("update account set disabled = 1").execute(pool).await.map(drop))
            .unwrap();
        assert!(!is_signed_in(&house, &session).await);
    })
    .await;
}

#[tokio::test]
async fn s90_after_signing_in_one_stays_on_this_site() {
    each_database(|house| async move {
        house.register("ann").await;
        let long = format!("/{}", "a".repeat(8192));
        for (wish, place) in [
            ("Login", "/Auth/Login"),
            ("", "/Auth/Login"),
            ("/connect/authorize?client_id=x", "/connect/authorize?client_id=x"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("%2f%2fevil.example", "/"),
            ("/%09/evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("/a\r\nSet-Cookie: x=y", "/"),
            ("Login@evil.example", "/"),
            (&long, "/"),
        ] {
            let form = [("Username", "ann"), ("Password", PASSWORD), ("ReturnUrl", wish)];
            let answer = house.post("/Auth/Login", &form).send().await.unwrap();
            assert_eq!(location(&answer), place, "{wish:?}");
        }
    })
    .await;
}
