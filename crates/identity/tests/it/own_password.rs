//! People change their own password.

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Response, StatusCode};

use crate::kit::{PASSWORD, TestService, cookie, each_database, location};

const NEW: &str = "seven green herons";

async fn change(service: &TestService, session: &str, current: &str, new: &str, again: &str) -> Response {
    let form = [("Password", current), ("NewPassword", new), ("ConfirmPassword", again)];
    service.post("/Auth/Password", &form).header(COOKIE, session).send().await.unwrap()
}

#[tokio::test]
async fn the_own_password_is_changed_with_the_current_one() {
    each_database(|service| async move {
        service.register("ann").await;
        let (session, elsewhere) = (service.sign_in("ann").await, service.sign_in("ann").await);
        let token = service.token("ann").await;
        let home = service.get("/").header(COOKIE, &session).send().await.unwrap();
        assert!(home.text().await.unwrap().contains("/Auth/Password"));
        for (current, new, again, sentence) in [
            ("a guess", NEW, NEW, "This is not the password"),
            (PASSWORD, "short", "short", "at least 8 characters"),
            (PASSWORD, NEW, "another", "The two passwords differ."),
        ] {
            let refused = change(&service, &session, current, new, again).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
            assert!(refused.text().await.unwrap().contains(sentence), "{sentence}");
        }
        assert!(service.can_sign_in("ann").await);

        let changed = change(&service, &session, PASSWORD, NEW, NEW).await;
        assert_eq!(location(&changed), "/");
        assert_eq!(changed.headers().get_all(SET_COOKIE).iter().count(), 2);
        let home =
            async |session: &str| service.get("/").header(COOKIE, session).send().await.unwrap().status();
        assert_eq!(home(&cookie(&changed)).await, StatusCode::OK, "this browser stays signed in");
        for ended in [&session, &elsewhere] {
            assert_eq!(home(ended).await, StatusCode::SEE_OTHER);
        }
        let userinfo = service.get("/connect/userinfo").bearer_auth(token).send().await.unwrap();
        assert_eq!(userinfo.status(), StatusCode::UNAUTHORIZED);
        assert!(!service.can_sign_in("ann").await);
        assert_eq!(service.request_token("ann", NEW).await.status(), StatusCode::OK);
        assert_eq!(location(&change(&service, "", NEW, PASSWORD, PASSWORD).await), "/Auth/Login");
    })
    .await;
}
