//! A client of the test's own, which gets tokens for people: a browser with cookies, and the requests of the program.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{Client, GrantType, Scope, Settings};
use reqwest::header::COOKIE;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::kit::{TestService, location};

/// The client of the tests: public, with consent.
pub(crate) const APP: &str = "app";

/// The address that it has registered.
pub(crate) const CALLBACK: &str = "https://app.example.org/callback";

/// The verifier of every request for a code.
pub(crate) const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters";

/// A confidential client, without consent.
pub(crate) const SITE: &str = "site";

pub(crate) const SITE_SECRET: &str = "sites have secrets as well";

/// Where people are sent after they have signed out of the site.
pub(crate) const SITE_SIGNED_OUT: &str = "https://site.example.org/signed-out";

/// Adds both clients to the settings.
pub(crate) fn add_clients(settings: &mut Settings) {
    let code = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    settings.clients.push(Client {
        id: APP.to_owned(),
        name: "The <App>".to_owned(),
        secret: None,
        roles: Vec::new(),
        grants: [&code[..], &[GrantType::DeviceCode]].concat(),
        scopes: Scope::ALL.to_vec(),
        redirect_uris: vec![CALLBACK.to_owned()],
        post_logout_redirect_uris: Vec::new(),
        needs_consent: true,
    });
    settings.clients.push(Client {
        id: SITE.to_owned(),
        name: "The site".to_owned(),
        secret: Some(SITE_SECRET.into()),
        roles: Vec::new(),
        grants: code.to_vec(),
        scopes: vec![Scope::OpenId, Scope::Profile, Scope::OfflineAccess],
        redirect_uris: vec!["https://site.example.org/cb?site=1".to_owned()],
        post_logout_redirect_uris: vec![SITE_SIGNED_OUT.to_owned()],
        needs_consent: false,
    });
}

/// A browser that is signed in.
pub(crate) struct Browser {
    pub(crate) service: Arc<TestService>,
    pub(crate) cookie: String,
}

/// The parameters of a request for a code by [`APP`], with other values for some of them; an empty value leaves one out.
pub(crate) fn request(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let mut parameters: Vec<(String, String)> = [
        ("client_id", APP),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile offline_access TaskerWebAPI"),
        ("state", "a state"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            parameters.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    parameters
}

/// The parameters in the query of an address.
pub(crate) fn query(address: &str) -> Vec<(String, String)> {
    let (_, query) = address.split_once('?').unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// One parameter in the query of an address.
pub(crate) fn parameter(address: &str, name: &str) -> Option<String> {
    query(address).into_iter().find_map(|(known, value)| (known == name).then_some(value))
}

impl Browser {
    /// Registers the account `name` and signs it in.
    pub(crate) async fn register(service: &Arc<TestService>, name: &str) -> Self {
        service.register(name).await;
        Self { service: Arc::clone(service), cookie: service.sign_in(name).await }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.service.get(path).header(COOKIE, &self.cookie).send().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.service.post(path, form).header(COOKIE, &self.cookie).send().await.unwrap()
    }

    /// Opens the authorization endpoint.
    pub(crate) async fn authorize(&self, changes: &[(&str, &str)]) -> Response {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(request(changes)).finish();
        self.get(&format!("/connect/authorize?{query}")).await
    }

    /// Opens the authorization endpoint and answers its question.
    pub(crate) async fn decide(&self, changes: &[(&str, &str)], decision: &str) -> Response {
        let page = self.authorize(changes).await;
        assert_eq!(page.status(), StatusCode::OK, "the page asks for consent");
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(request(changes)).finish();
        self.post("/connect/consent", &[("request", &query), ("decision", decision)]).await
    }

    /// The code that [`APP`] gets.
    pub(crate) async fn code(&self, changes: &[(&str, &str)]) -> String {
        let answer = self.decide(changes, "allow").await;
        parameter(location(&answer), "code").unwrap_or_else(|| panic!("no code: {}", location(&answer)))
    }

    /// The tokens that [`APP`] gets.
    pub(crate) async fn tokens(&self) -> Value {
        let answer = redeem(&self.service, &self.code(&[]).await, &[]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }
}

/// Exchanges a code as [`APP`], with other parameters.
pub(crate) async fn redeem(service: &TestService, code: &str, changes: &[(&str, &str)]) -> Response {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", APP),
        ("redirect_uri", CALLBACK),
        ("code", code),
        ("code_verifier", VERIFIER),
    ];
    for change in changes {
        form.retain(|(name, _)| *name != change.0);
        form.push(*change);
    }
    service.post("/connect/token", &form).send().await.unwrap()
}

/// Exchanges a refresh token as this client.
pub(crate) async fn refresh(
    service: &TestService,
    client: &str,
    token: &str,
    more: &[(&str, &str)],
) -> Response {
    let form =
        [&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)], more].concat();
    service.post("/connect/token", &form).send().await.unwrap()
}

/// The `error` of an answer of status 400.
pub(crate) async fn error(answer: Response) -> String {
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let body: Value = answer.json().await.unwrap();
    body["error"].as_str().unwrap().to_owned()
}

/// The text of a member.
pub(crate) fn text<'a>(body: &'a Value, member: &str) -> &'a str {
    body[member].as_str().unwrap_or_else(|| panic!("no {member}: {body}"))
}

/// Whether Identity accepts an access token.
pub(crate) async fn is_accepted(service: &TestService, token: &str) -> bool {
    service.get("/connect/userinfo").bearer_auth(token).send().await.unwrap().status() == StatusCode::OK
}
