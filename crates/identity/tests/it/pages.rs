//! What holds for every page: security headers, escaping, cross-site requests, form fields.

use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use crate::kit::{PASSWORD, TestService, each_database};

const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

async fn login_status(service: &TestService, headers: &[(&str, &str)]) -> StatusCode {
    let form = [("Username", "ann"), ("Password", PASSWORD)];
    let request = service.post("/Auth/Login", &form);
    headers
        .iter()
        .fold(request, |request, (name, text)| request.header(*name, *text))
        .send()
        .await
        .unwrap()
        .status()
}

/// The path of the static file with this extension that the login page links to.
async fn asset(service: &TestService, extension: &str) -> String {
    let page = service.page("/Auth/Login").await;
    let path = page.split('"').find(|text| text.starts_with("/assets/") && text.ends_with(extension));
    path.expect("a link to the file").to_owned()
}

#[tokio::test]
async fn a_form_from_another_site_is_refused_and_one_without_origin_is_not() {
    each_database(|service| async move {
        service.register("ann").await;
        let (ours, port) = (service.base.as_str(), service.base.rsplit_once(':').unwrap().1);
        let other_port = format!("http://127.0.0.1:{}", if port == "1" { "2" } else { "1" });
        assert_eq!(login_status(&service, &[]).await, StatusCode::SEE_OTHER, "plain curl");
        for allowed in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", ours)] {
            assert_eq!(login_status(&service, &[allowed]).await, StatusCode::SEE_OTHER, "{allowed:?}");
        }
        for foreign in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", other_port.as_str()),
        ] {
            assert_eq!(login_status(&service, &[foreign]).await, StatusCode::FORBIDDEN, "{foreign:?}");
        }
        for path in ["/Auth/Register", "/Auth/Logout", "/Auth/Invite"] {
            let foreign = service.post(path, &[("Username", "eve")]).header("sec-fetch-site", "cross-site");
            assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    each_database(|service| async move {
        let foreign =
            service.post("/Auth/Login", &[]).header("sec-fetch-site", "cross-site").send().await.unwrap();
        let mut answers = vec![foreign, service.post("/connect/token", &[]).send().await.unwrap()];
        let style = asset(&service, ".css").await;
        for path in ["/Auth/Login", "/Auth/Register", "/", "/nothing", "/connect/token", style.as_str()] {
            answers.push(service.get(path).send().await.unwrap());
        }
        for answer in answers {
            let (url, headers) = (answer.url(), answer.headers());
            let header = |name: &str| headers.get(name).map_or("", |text| text.to_str().unwrap());
            assert_eq!(header("content-security-policy"), CSP, "{url}");
            assert_eq!(header("x-frame-options"), "DENY", "{url}");
            assert_eq!(header("x-content-type-options"), "nosniff", "{url}");
            assert_eq!(header("referrer-policy"), "same-origin", "{url}: else Origin is null");
            // A client may sign a person in in a window that it has opened, and reads the answer from.
            let is_sign_in =
                ["/Auth/Login", "/Auth/Register"].contains(&url.path()) && answer.status() != 403;
            let opener = if is_sign_in { "unsafe-none" } else { "same-origin" };
            assert_eq!(header("cross-origin-opener-policy"), opener, "{url}");
            let is_asset = url.path().starts_with("/assets");
            assert_eq!(header("cache-control") == "no-store", !is_asset, "{url}");
            assert_eq!(header("strict-transport-security"), "", "{url}: http");
        }
    })
    .await;
}

#[tokio::test]
async fn input_is_escaped_in_pages() {
    each_database(|service| async move {
        let evil = r#""><script>alert(1)</script>"#;
        let form = [("Username", evil), ("Password", "x"), ("ReturnUrl", evil), ("ConfirmPassword", "x")];
        for path in ["/Auth/Login", "/Auth/Register"] {
            let page = service.post(path, &form).send().await.unwrap().text().await.unwrap();
            assert!(!page.contains("<script") && page.contains("&#60;script"), "{page}");
        }
        let page = service.page("/Auth/Login?ReturnUrl=%22%3E%3Cscript%3E&Username=%3Cscript%3E").await;
        assert!(!page.contains("<script"));
    })
    .await;
}

#[tokio::test]
async fn no_page_needs_more_than_its_content_security_policy_allows() {
    each_database(|service| async move {
        for path in ["/Auth/Login", "/Auth/Register", "/nothing"] {
            let page = service.page(path).await;
            for forbidden in ["<script", "style=", "<style", "onclick", "http://", "https://"] {
                assert!(!page.contains(forbidden), "{path}: {forbidden}");
            }
        }
        for (extension, kind) in [(".css", "text/css; charset=utf-8"), (".svg", "image/svg+xml")] {
            let answer = service.get(&asset(&service, extension).await).send().await.unwrap();
            assert_eq!(
                (answer.status(), &answer.headers()[CONTENT_TYPE]),
                (StatusCode::OK, &kind.parse().unwrap())
            );
        }
    })
    .await;
}

#[tokio::test]
async fn the_forms_support_password_managers_and_have_the_legacy_field_names() {
    each_database(|service| async move {
        let login = service.page("/Auth/Login?ReturnUrl=Login").await;
        for name in ["Username", "Password", "ReturnUrl"] {
            assert!(login.contains(&format!(r#"name="{name}""#)), "{name}");
        }
        assert!(
            login.contains(r#"autocomplete="username""#)
                && login.contains(r#"autocomplete="current-password""#)
        );
        let register = service.page("/Auth/Register?ReturnUrl=Login").await;
        for name in ["Username", "Password", "ConfirmPassword", "ReturnUrl", "IsAdmin"] {
            assert!(register.contains(&format!(r#"name="{name}""#)), "{name}");
        }
        assert_eq!(register.matches(r#"autocomplete="new-password""#).count(), 2);
        assert!(register.contains(r#"type="checkbox" value="true""#) && register.contains("Full Access"));
        assert!(!register.contains(" checked"), "Full Access is not the default");
    })
    .await;
}
