//! Signing in and out at the pages: cookies, sessions, redirects.

use database::on;
use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};

use crate::kit::{HOUR, MINUTE, PASSWORD, TestService, cookie, each_database, each_database_with, location};

/// Whether the cookie is that of a valid session.
async fn is_signed_in(service: &TestService, session: &str) -> bool {
    service.get("/").header(COOKIE, session).send().await.unwrap().status() == StatusCode::OK
}

/// The name of a cookie that is set, and its attributes in alphabetical order.
fn name_and_attributes(set_cookie: &str) -> (&str, Vec<&str>) {
    let mut parts = set_cookie.split("; ");
    let (name, _) = parts.next().unwrap().split_once('=').unwrap();
    let mut attributes: Vec<_> = parts.collect();
    attributes.sort_unstable();
    (name, attributes)
}

#[tokio::test]
async fn the_start_page_shows_the_signed_in_account() {
    each_database(|service| async move {
        assert_eq!(location(&service.get("/").send().await.unwrap()), "/Auth/Login");
        service.register_admin("Ann").await;
        let session = service.sign_in("ann").await;
        let page = service.get("/").header(COOKIE, &session).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Hello, Ann") && page.contains("Admin") && page.contains("Sign out"));
        let login = service.get("/Auth/Login").header(COOKIE, &session).send().await.unwrap();
        assert_eq!(location(&login), "/", "a signed-in visitor is redirected");
    })
    .await;
}

#[tokio::test]
async fn sign_in_replaces_the_session() {
    each_database(|service| async move {
        service.register("ann").await;
        let first = service.sign_in("ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let again = service.post("/Auth/Login", &form).header(COOKIE, &first).send().await.unwrap();
        let second = cookie(&again);
        assert_ne!(first, second);
        assert!(!is_signed_in(&service, &first).await && is_signed_in(&service, &second).await);
        let planted = "tasker-identity=planted";
        let answer = service.post("/Auth/Login", &form).header(COOKIE, planted).send().await.unwrap();
        assert_ne!(cookie(&answer), planted);
        assert!(!is_signed_in(&service, planted).await);
    })
    .await;
}

#[tokio::test]
async fn the_cookie_is_protected_by_its_attributes() {
    each_database(|service| async move {
        service.register("ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let answer = service.post("/Auth/Login", &form).send().await.unwrap();
        let set = answer.headers()[SET_COOKIE].to_str().unwrap();
        let (name, attributes) = name_and_attributes(set);
        assert_eq!(name, "tasker-identity");
        assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax"]);
    })
    .await;
    let https = |settings: &mut identity::Settings| settings.issuer = "https://id.example.org".to_owned();
    each_database_with(https, |service| async move {
        service.register("ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD)];
        let request = service.post("/Auth/Login", &form).header("host", "id.example.org");
        let answer = request.send().await.unwrap();
        let set = answer.headers()[SET_COOKIE].to_str().unwrap();
        let (name, attributes) = name_and_attributes(set);
        assert_eq!(name, "__Host-tasker-identity");
        assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
        let local = service.get("/Auth/Login").send().await.unwrap();
        assert!(!local.headers().contains_key("strict-transport-security"), "a loopback address");
    })
    .await;
}

#[tokio::test]
async fn signing_out_ends_the_session_and_needs_a_post() {
    each_database(|service| async move {
        service.register("ann").await;
        let session = service.sign_in("ann").await;
        let get = service.get("/Auth/Logout").header(COOKIE, &session).send().await.unwrap();
        assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert!(is_signed_in(&service, &session).await);
        let out = service.post("/Auth/Logout", &[]).header(COOKIE, &session).send().await.unwrap();
        assert_eq!(location(&out), "/Auth/Login");
        assert!(out.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
        assert!(!is_signed_in(&service, &session).await);
        let anonymous = service.post("/Auth/Logout", &[]).send().await.unwrap();
        assert_eq!(location(&anonymous), "/Auth/Login");
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_after_two_idle_hours_and_after_twelve_hours() {
    each_database(|service| async move {
        service.register("ann").await;
        let idle = service.sign_in("ann").await;
        service.clock.advance(2 * HOUR);
        assert!(!is_signed_in(&service, &idle).await);
        let used = service.sign_in("ann").await;
        for _ in 0..11 {
            service.clock.advance(HOUR);
            assert!(is_signed_in(&service, &used).await);
        }
        service.clock.advance(HOUR);
        assert!(!is_signed_in(&service, &used).await);
        service.identity.run_maintenance_once().await.unwrap();
        let rows: Vec<(i64,)> = on!(&service.db, read, pool =>
            sqlx::query_as("select count(*) from session").fetch_all(pool).await)
        .unwrap();
        assert_eq!(rows, [(0,)], "ended sessions are deleted");
    })
    .await;
}

#[tokio::test]
async fn a_disabled_account_is_signed_out_at_once() {
    each_database(|service| async move {
        service.register("ann").await;
        let session = service.sign_in("ann").await;
        service.clock.advance(MINUTE);
        on!(&service.db, write, pool => sqlx::query("update account set disabled_at = 1").execute(pool).await.map(drop))
            .unwrap();
        assert!(!is_signed_in(&service, &session).await);
    })
    .await;
}

#[tokio::test]
async fn sign_in_redirects_to_this_site_only() {
    each_database(|service| async move {
        service.register("ann").await;
        let long = format!("/{}", "a".repeat(8192));
        for (requested, expected) in [
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
            let form = [("Username", "ann"), ("Password", PASSWORD), ("ReturnUrl", requested)];
            let answer = service.post("/Auth/Login", &form).send().await.unwrap();
            assert_eq!(location(&answer), expected, "{requested:?}");
        }
    })
    .await;
}
