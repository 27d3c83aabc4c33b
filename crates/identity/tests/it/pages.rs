//! What every page sends and takes.

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use crate::kit::{House, PASSWORD, each_database};

const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

async fn login_status(house: &House, headers: &[(&str, &str)]) -> StatusCode {
    let form = [("Username", "ann"), ("Password", PASSWORD)];
    let asked = house.post("/Auth/Login", &form);
    headers
        .iter()
        .fold(asked, |asked, (name, text)| asked.header(*name, *text))
        .send()
        .await
        .unwrap()
        .status()
}

#[tokio::test]
async fn s87_a_form_from_another_site_is_refused_and_curl_is_not() {
    each_database(|house| async move {
        house.register("ann").await;
        let (ours, port) = (house.base.as_str(), house.base.rsplit_once(':').unwrap().1);
        let other_port = format!("http://127.0.0.1:{}", if port == "1" { "2" } else { "1" });
        assert_eq!(login_status(&house, &[]).await, StatusCode::SEE_OTHER, "plain curl");
        for fine in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", ours)] {
            assert_eq!(login_status(&house, &[fine]).await, StatusCode::SEE_OTHER, "{fine:?}");
        }
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", other_port.as_str()),
        ] {
            assert_eq!(login_status(&house, &[foreign]).await, StatusCode::FORBIDDEN, "{foreign:?}");
        }
        for path in ["/Auth/Register", "/Auth/Logout", "/Auth/Invite"] {
            let foreign = house.post(path, &[("Username", "eve")]).header("sec-fetch-site", "cross-site");
            assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn s92_s93_s94_every_answer_carries_the_headers_errors_too() {
    each_database(|house| async move {
        let foreign =
            house.post("/Auth/Login", &[]).header("sec-fetch-site", "cross-site").send().await.unwrap();
        let mut answers = vec![foreign, house.post("/connect/token", &[]).send().await.unwrap()];
        for path in
            ["/Auth/Login", "/Auth/Register", "/", "/nothing", "/connect/token", "/assets/identity.css"]
        {
            answers.push(house.get(path).send().await.unwrap());
        }
        for answer in answers {
            let (url, headers) = (answer.url(), answer.headers());
            let said = |name: &str| headers.get(name).map_or("", |text| text.to_str().unwrap());
            assert_eq!(said("content-security-policy"), CSP, "{url}");
            assert_eq!(said("x-frame-options"), "DENY", "{url}");
            assert_eq!(said("x-content-type-options"), "nosniff", "{url}");
            assert_eq!(said("referrer-policy"), "no-referrer", "{url}");
            assert_eq!(said("cross-origin-opener-policy"), "same-origin", "{url}");
            let kept = url.path().starts_with("/assets");
            assert_eq!(said("cache-control") == "no-store", !kept, "{url}");
            assert_eq!(said("strict-transport-security"), "", "{url}: http");
        }
    })
    .await;
}

#[tokio::test]
async fn s91_what_was_typed_is_shown_as_text() {
    each_database(|house| async move {
        let evil = r#""><script>alert(1)</script>"#;
        let form = [("Username", evil), ("Password", "x"), ("ReturnUrl", evil), ("ConfirmPassword", "x")];
        for path in ["/Auth/Login", "/Auth/Register"] {
            let page = house.post(path, &form).send().await.unwrap().text().await.unwrap();
            assert!(!page.contains("<script") && page.contains("&#60;script"), "{page}");
        }
        let page = house.page("/Auth/Login?ReturnUrl=%22%3E%3Cscript%3E&Username=%3Cscript%3E").await;
        assert!(!page.contains("<script"));
    })
    .await;
}

#[tokio::test]
async fn s93_no_page_needs_more_than_the_policy_allows() {
    each_database(|house| async move {
        for path in ["/Auth/Login", "/Auth/Register", "/nothing"] {
            let page = house.page(path).await;
            for forbidden in ["<script", "style=", "<style", "onclick", "http://", "https://"] {
                assert!(!page.contains(forbidden), "{path}: {forbidden}");
            }
        }
        for (path, kind) in
            [("/assets/identity.css", "text/css; charset=utf-8"), ("/assets/mark.svg", "image/svg+xml")]
        {
            let answer = house.get(path).send().await.unwrap();
            assert_eq!(
                (answer.status(), &answer.headers()[CONTENT_TYPE]),
                (StatusCode::OK, &kind.parse().unwrap())
            );
        }
    })
    .await;
}

#[tokio::test]
async fn s96_the_forms_help_password_managers_and_have_the_originals_fields() {
    each_database(|house| async move {
        let login = house.page("/Auth/Login?ReturnUrl=Login").await;
        for name in ["Username", "Password", "ReturnUrl"] {
            assert!(login.contains(&format!(r#"name="{name}""#)), "{name}");
        }
        assert!(
            login.contains(r#"autocomplete="username""#)
                && login.contains(r#"autocomplete="current-password""#)
        );
        let register = house.page("/Auth/Register?ReturnUrl=Login").await;
        for name in ["Username", "Password", "ConfirmPassword", "ReturnUrl", "IsAdmin"] {
            assert!(register.contains(&format!(r#"name="{name}""#)), "{name}");
        }
        assert_eq!(register.matches(r#"autocomplete="new-password""#).count(), 2);
        assert!(register.contains(r#"type="checkbox" value="true""#) && register.contains("Full Access"));
        assert!(!register.contains(" checked"), "nobody wants Full Access by accident");
    })
    .await;
}
