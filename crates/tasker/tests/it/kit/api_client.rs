//! An HTTP client of the API with a token: signs in as a person or as a program, then submits, waits, reads and cancels.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use domain::{Schedule, Task, TaskId, TaskList};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::kit::service_urls::ServiceUrls;
use crate::kit::wait_until::{MAX_WAIT, wait_until};

/// The password of every account that a test registers.
pub const PASSWORD: &str = "seven-green-herons";

/// The longest that a test waits for the end of one task: longer than any TTL of a test and than the queue before the task.
const MAX_WAIT_FOR_END: Duration = Duration::from_mins(5);

/// The pause before a request that failed is sent again.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// A client with the token of one account or program.
#[derive(Debug, Clone)]
pub struct ApiClient {
    http: Client,
    backend: String,
    token: String,
}

impl ApiClient {
    /// Registers the account `name` through the page and signs in.
    pub async fn register(urls: &ServiceUrls, name: &str) -> Self {
        Self::register_with(urls, name, &[]).await
    }

    /// Registers the first administrator through the page, with the token in `setup_link`, and signs in.
    pub async fn register_administrator(urls: &ServiceUrls, setup_link: &str, name: &str) -> Self {
        let (_, token) = setup_link.split_once("setup=").expect("a setup link holds a registration token");
        Self::register_with(urls, name, &[("IsAdmin", "true"), ("setup", token)]).await
    }

    async fn register_with(urls: &ServiceUrls, name: &str, fields: &[(&str, &str)]) -> Self {
        let form = [("Username", name), ("Password", PASSWORD), ("ConfirmPassword", PASSWORD)];
        let page = format!("{}/Auth/Register", urls.identity);
        let form = [&form[..], fields].concat();
        let response = urls.http_client().post(page).form(&form).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{}", response.text().await.unwrap());
        Self::sign_in(urls, name).await
    }

    /// Signs in as an account that exists, by the password grant.
    pub async fn sign_in(urls: &ServiceUrls, name: &str) -> Self {
        let form = [
            ("grant_type", "password"),
            ("username", name),
            ("password", PASSWORD),
            ("client_id", "tasker_backend"),
            ("scope", "openid profile TaskerWebAPI"),
        ];
        Self::with_token_for(urls, &form).await
    }

    /// Signs in as a program, an entry of `identity.clients`, by the client credentials grant.
    pub async fn sign_in_as_program(urls: &ServiceUrls, id: &str, secret: &str) -> Self {
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        Self::with_token_for(urls, &form).await
    }

    async fn with_token_for(urls: &ServiceUrls, form: &[(&str, &str)]) -> Self {
        let http = urls.http_client();
        let endpoint = format!("{}/connect/token", urls.identity);
        let response = http.post(endpoint).form(form).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body: Value = response.json().await.unwrap();
        let token = body["access_token"].as_str().expect("the answer holds a token").to_owned();
        Self { http, backend: urls.backend.clone(), token }
    }

    /// The access token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Submits a task with a TTL in milliseconds.
    pub async fn submit(&self, name: &str, parameters: Value, ttl_ms: u64) -> TaskId {
        let response = self.try_submit(name, parameters, ttl_ms).await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED, "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    /// Submits a task as a step of the trace that `traceparent` (W3C Trace Context) names.
    pub async fn submit_traced(
        &self,
        name: &str,
        parameters: Value,
        ttl_ms: u64,
        traceparent: &str,
    ) -> TaskId {
        let request = self.submission(name, &parameters, ttl_ms).header("traceparent", traceparent);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json().await.unwrap()
    }

    /// Submits a task once. The error is that of the connection, for instance to a Backend that was killed.
    pub async fn try_submit(&self, name: &str, parameters: Value, ttl_ms: u64) -> reqwest::Result<Response> {
        self.submission(name, &parameters, ttl_ms).send().await
    }

    /// Submits a task again until a submission is accepted. A submission whose answer was lost may have made another task.
    pub async fn submit_until_accepted(&self, name: &str, parameters: &Value, ttl_ms: u64) -> TaskId {
        self.send_until_accepted(|| self.submission(name, parameters, ttl_ms)).await
    }

    /// The same under an idempotency key: only one of the submissions makes a task.
    pub async fn submit_with_key_until_accepted(
        &self,
        key: &str,
        name: &str,
        parameters: &Value,
        ttl_ms: u64,
    ) -> TaskId {
        let body = json!({"type": name, "parameters": parameters, "ttl": ttl_ms});
        self.submit_body_with_key_until_accepted(key, &body).await
    }

    /// The same with any body of a submission.
    pub async fn submit_body_with_key_until_accepted(&self, key: &str, body: &Value) -> TaskId {
        self.send_until_accepted(|| self.submission_of(body).header("Idempotency-Key", key)).await
    }

    async fn send_until_accepted(&self, submission: impl Fn() -> RequestBuilder) -> TaskId {
        let submit = async {
            let mut retries = retries();
            loop {
                retries.tick().await;
                if let Ok(response) = submission().send().await
                    && response.status() == StatusCode::CREATED
                    && let Ok(id) = response.json().await
                {
                    return id;
                }
            }
        };
        timeout(MAX_WAIT, submit).await.expect("the Backend accepts a submission within a minute")
    }

    /// Submits a task and waits for its end in the same request, for 30 s at most.
    pub async fn submit_and_wait(&self, name: &str, parameters: Value, ttl_ms: u64) -> Task {
        let request = self.submission(name, &parameters, ttl_ms).header("Prefer", "wait=30");
        request.send().await.unwrap().json().await.unwrap()
    }

    fn submission(&self, name: &str, parameters: &Value, ttl_ms: u64) -> RequestBuilder {
        self.submission_of(&json!({"type": name, "parameters": parameters, "ttl": ttl_ms}))
    }

    fn submission_of(&self, body: &Value) -> RequestBuilder {
        self.with_token(self.http.post(self.url("/api/Task/"))).json(body)
    }

    /// Reads a task as it is now.
    pub async fn read_task(&self, id: TaskId) -> Task {
        self.get(&format!("/api/Task/{id}")).await.json().await.unwrap()
    }

    /// Waits until a task has ended, and returns it. A request that meets a Backend that was killed is sent again.
    pub async fn wait_until_ended(&self, id: TaskId) -> Task {
        let poll = async {
            let mut retries = retries();
            loop {
                retries.tick().await;
                let request = self.with_token(self.http.get(self.url(&format!("/api/Task/{id}"))));
                if let Ok(response) = request.header("Prefer", "wait=30").send().await
                    && let Ok(task) = response.json::<Task>().await
                    && task.status.is_final()
                {
                    return task;
                }
            }
        };
        let ended = timeout(MAX_WAIT_FOR_END, poll).await;
        ended.unwrap_or_else(|_| panic!("task {id} has not ended within {} s", MAX_WAIT_FOR_END.as_secs()))
    }

    /// The list of all tasks of the caller.
    pub async fn list_tasks(&self) -> TaskList {
        self.get("/api/Task/").await.json().await.unwrap()
    }

    /// Cancels every task of the caller that has not ended, and waits for their ends. Such tasks may be left after a Backend was
    /// killed: their submission was accepted, but its answer was lost and nobody knows their id.
    pub async fn cancel_what_is_left(&self) {
        let left = self.list_tasks().await.tasks.into_iter().filter(|task| !task.status.is_final());
        for id in left.map(|task| task.id).collect::<Vec<_>>() {
            self.cancel_until_answered(id).await;
            self.wait_until_ended(id).await;
        }
    }

    /// Asks for the result of a task.
    pub async fn read_result(&self, id: TaskId) -> Response {
        self.get(&format!("/api/Task/{id}/result")).await
    }

    /// Cancels a task.
    pub async fn cancel(&self, id: TaskId) -> Response {
        self.cancellation(id).send().await.unwrap()
    }

    /// Cancels a task, again until a Backend has answered: that the task is cancelled, or that it has ended otherwise.
    pub async fn cancel_until_answered(&self, id: TaskId) {
        let cancel = async {
            let mut retries = retries();
            loop {
                retries.tick().await;
                if let Ok(response) = self.cancellation(id).send().await
                    && matches!(response.status(), StatusCode::OK | StatusCode::CONFLICT)
                {
                    return;
                }
            }
        };
        timeout(MAX_WAIT, cancel).await.expect("the Backend answers a cancellation within a minute");
    }

    fn cancellation(&self, id: TaskId) -> RequestBuilder {
        self.with_token(self.http.post(self.url(&format!("/api/Task/{id}/cancel"))))
    }

    /// Registers an operation of a queue, which takes any parameters and has any result.
    pub async fn register_operation(&self, name: &str, queue: &str) {
        let operation = json!({"type": name, "queue": queue, "parameters": {}, "result": {}});
        let request = self.http.put(self.url(&format!("/api/Operation/{name}")));
        let response = self.with_token(request).json(&operation).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    }

    /// Creates or replaces a schedule.
    pub async fn put_schedule(&self, name: &str, body: &Value) -> Schedule {
        let request = self.http.put(self.url(&format!("/api/Schedule/{name}")));
        let response = self.with_token(request).json(body).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
        response.json().await.unwrap()
    }

    /// Reads a schedule as it is now.
    pub async fn read_schedule(&self, name: &str) -> Schedule {
        self.get(&format!("/api/Schedule/{name}")).await.json().await.unwrap()
    }

    /// Pauses a schedule.
    pub async fn pause_schedule(&self, name: &str) -> Schedule {
        let request = self.http.post(self.url(&format!("/api/Schedule/{name}/pause")));
        self.with_token(request).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until the Backend's health report satisfies `condition`. The Backend must be ready to serve meanwhile.
    pub async fn wait_for_health(&self, condition: impl Fn(&Value) -> bool) {
        wait_until("the health report is as expected", async || {
            let response = self.http.get(self.url("/health/ready")).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "a degraded Backend serves");
            condition(&response.json().await.unwrap())
        })
        .await;
    }

    /// Sends a GET of a path of the Backend.
    pub async fn get(&self, path: &str) -> Response {
        self.with_token(self.http.get(self.url(path))).send().await.unwrap()
    }

    /// Sends a PATCH of a path of the Backend.
    pub async fn patch(&self, path: &str) -> Response {
        self.with_token(self.http.patch(self.url(path))).send().await.unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.backend)
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token)
    }
}

/// The moments of the attempts of one request: the first at once, each other one after a pause.
fn retries() -> Interval {
    let mut retries = interval(RETRY_INTERVAL);
    // A long poll lasts longer than a pause, and the pauses that it has covered are not made up for.
    retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    retries
}
