//! The page with the browsers and programs that are signed in to an account (check list S54).

use reqwest::StatusCode;

use crate::kit::{each_database_with, location};
use crate::oauth_client::{APP, Browser, add_clients, error, is_accepted, refresh, text};

/// The value of the hidden field `name` of a form.
fn field(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!(r#"name="{name}" value=""#))?;
    rest.split('"').next().map(str::to_owned)
}

#[tokio::test]
async fn a_person_signs_a_program_out() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let tokens = browser.tokens().await;
        let page = browser.get("/Account").await.text().await.unwrap();
        assert!(page.contains("The &#60;App&#62;"), "{page}");
        assert_eq!(field(&page, "client").as_deref(), Some(APP));
        let other = Browser::register(&service, "bob").await;
        other.post("/Account", &[("client", APP)]).await;
        assert!(is_accepted(&service, text(&tokens, "access_token")).await, "another account's grant stays");

        let ended = browser.post("/Account", &[("client", APP)]).await;
        assert_eq!(location(&ended), "/Account");
        assert!(!is_accepted(&service, text(&tokens, "access_token")).await);
        assert_eq!(
            error(refresh(&service, APP, text(&tokens, "refresh_token"), &[]).await).await,
            "invalid_grant"
        );
        assert!(browser.get("/Account").await.text().await.unwrap().contains("No program is signed in."));
        assert_eq!(browser.authorize(&[]).await.status(), StatusCode::OK, "the program must ask again");
    })
    .await;
}

#[tokio::test]
async fn a_person_signs_another_browser_out_and_nobody_else_does() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let second = Browser { cookie: service.sign_in("ann").await, service: service.clone() };
        let page = browser.get("/Account").await.text().await.unwrap();
        assert!(page.contains("This browser") && page.contains("Another browser"), "{page}");
        let session = field(&page, "session").unwrap();
        let other = Browser::register(&service, "eve").await;
        other.post("/Account", &[("session", &session)]).await;
        assert_eq!(second.get("/").await.status(), StatusCode::OK);
        browser.post("/Account", &[("session", &session)]).await;
        assert_eq!(second.get("/").await.status(), StatusCode::SEE_OTHER);
        assert_eq!(browser.get("/").await.status(), StatusCode::OK);
        let nobody = service.get("/Account").send().await.unwrap();
        assert_eq!(location(&nobody), "/Auth/Login?ReturnUrl=%2FAccount");
    })
    .await;
}
