//! A person who uses Tasker from outside: registers on the real page, gets a token, submits, waits, reads.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use domain::{Task, TaskId, TaskList};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::until::until;

/// Where the two services that a person meets are.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub backend: String,
    pub identity: String,
    /// The authority that vouches for both, PEM, where it is not one of the platform's.
    pub ca: Option<String>,
}

impl Addresses {
    /// A program that goes there, and stays where it is sent.
    pub fn http(&self) -> Client {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        let trusted = self.ca.iter().map(|pem| Certificate::from_pem(pem.as_bytes()).unwrap());
        client.tls_certs_only(trusted).build().unwrap()
    }
}

/// Someone with an account and a token.
#[derive(Debug, Clone)]
pub struct Person {
    http: Client,
    backend: String,
    token: String,
}

/// Everybody's password.
pub const PASSWORD: &str = "seven-green-herons";

impl Person {
    /// Registers `name` through the page and signs in as a program does.
    pub async fn register(at: &Addresses, name: &str) -> Self {
        let http = at.http();
        let form = [("Username", name), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD)];
        let page = http.post(format!("{}/Auth/Register", at.identity)).form(&form).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::SEE_OTHER, "{}", page.text().await.unwrap());
        Self::sign_in(at, name).await
    }

    /// Registers the first administrator, by the setup `link`.
    pub async fn administrator(at: &Addresses, link: &str, name: &str) -> Self {
        let (_, setup) = link.split_once("setup=").expect("a setup link");
        let form = [
            ("Username", name),
            ("Password", PASSWORD),
            ("ConfirmPassword", PASSWORD),
            ("IsAdmin", "true"),
            ("setup", setup),
        ];
        let page = at.http().post(format!("{}/Auth/Register", at.identity)).form(&form).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::SEE_OTHER, "{}", page.text().await.unwrap());
        Self::sign_in(at, name).await
    }

    /// Someone who has registered before.
    pub async fn sign_in(at: &Addresses, name: &str) -> Self {
        let token = [
            ("grant_type", "password"),
            ("username", name),
            ("password", PASSWORD),
            ("client_id", "tasker_backend"),
            ("scope", "openid profile TaskerWebAPI"),
        ];
        Self::with(at, &token).await
    }

    /// A program, one of `identity.clients`.
    pub async fn program(at: &Addresses, id: &str, secret: &str) -> Self {
        let token = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        Self::with(at, &token).await
    }

    async fn with(at: &Addresses, token: &[(&str, &str)]) -> Self {
        let http = at.http();
        let answer = http.post(format!("{}/connect/token", at.identity)).form(token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.unwrap();
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        Self { http, backend: at.backend.clone(), token }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn submit(&self, name: &str, parameters: Value, ttl: u64) -> TaskId {
        let answer = self.try_submit(name, parameters, ttl).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// Submits as a step of a caller's trace.
    pub async fn submit_traced(&self, name: &str, parameters: Value, ttl: u64, traceparent: &str) -> TaskId {
        let body = json!({"type": name, "parameters": parameters, "ttl": ttl});
        let request = self.with_token(self.http.post(self.address("/api/Task/")));
        let answer = request.header("traceparent", traceparent).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json().await.unwrap()
    }

    /// A submission that may meet a dead server.
    pub async fn try_submit(&self, name: &str, parameters: Value, ttl: u64) -> reqwest::Result<Response> {
        let body = json!({"type": name, "parameters": parameters, "ttl": ttl});
        self.with_token(self.http.post(self.address("/api/Task/"))).json(&body).send().await
    }

    /// Submits until it is accepted; a submission that meets a dead server counts for nothing.
    pub async fn accepted(&self, name: &str, parameters: &Value, ttl: u64) -> TaskId {
        loop {
            match self.try_submit(name, parameters.clone(), ttl).await {
                Ok(answer) if answer.status() == StatusCode::CREATED => {
                    if let Ok(id) = answer.json().await {
                        return id;
                    }
                }
                _ => tokio::task::yield_now().await,
            }
        }
    }

    /// Submits and waits for the end in the same request.
    pub async fn submitted_and_ended(&self, name: &str, parameters: Value, ttl: u64) -> Task {
        let body = json!({"type": name, "parameters": parameters, "ttl": ttl});
        let request = self.with_token(self.http.post(self.address("/api/Task/"))).header("Prefer", "wait=30");
        request.json(&body).send().await.unwrap().json().await.unwrap()
    }

    pub async fn task(&self, id: TaskId) -> Task {
        self.get(&format!("/api/Task/{id}")).await.json().await.unwrap()
    }

    /// The task when it has ended; asks again as long as it has not.
    pub async fn ended(&self, id: TaskId) -> Task {
        loop {
            let request = self.with_token(self.http.get(self.address(&format!("/api/Task/{id}"))));
            // A Backend that is killed meanwhile is asked again.
            let Ok(answer) = request.header("Prefer", "wait=30").send().await else { continue };
            let Ok(task) = answer.json::<Task>().await else { continue };
            if task.status.is_final() {
                return task;
            }
        }
    }

    pub async fn tasks(&self) -> TaskList {
        self.get("/api/Task/").await.json().await.unwrap()
    }

    pub async fn result(&self, id: TaskId) -> Response {
        self.get(&format!("/api/Task/{id}/result")).await
    }

    pub async fn cancel(&self, id: TaskId) -> Response {
        let request = self.http.post(self.address(&format!("/api/Task/{id}/cancel")));
        self.with_token(request).send().await.unwrap()
    }

    /// A cancellation that may meet a dead server; whether it was heard.
    pub async fn try_cancel(&self, id: TaskId) -> bool {
        let request = self.http.post(self.address(&format!("/api/Task/{id}/cancel")));
        let answer = self.with_token(request).send().await;
        answer.is_ok_and(|answer| matches!(answer.status(), StatusCode::OK | StatusCode::CONFLICT))
    }

    /// Enters an operation of a queue into the catalogue; it takes any parameters.
    pub async fn enter_operation(&self, name: &str, queue: &str) {
        let operation = json!({"type": name, "queue": queue, "parameters": {}, "result": {}});
        let request = self.http.put(self.address(&format!("/api/Operation/{name}")));
        let answer = self.with_token(request).json(&operation).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Waits until the Backend says of its health what `holds`.
    pub async fn until_health(&self, holds: impl Fn(&Value) -> bool) {
        until("its health changes", async || {
            let answer = self.http.get(self.address("/health/ready")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "it serves");
            holds(&answer.json().await.unwrap())
        })
        .await;
    }

    pub async fn get(&self, path: &str) -> Response {
        self.with_token(self.http.get(self.address(path))).send().await.unwrap()
    }

    pub async fn patch(&self, path: &str) -> Response {
        self.with_token(self.http.patch(self.address(path))).send().await.unwrap()
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.backend)
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token)
    }
}
