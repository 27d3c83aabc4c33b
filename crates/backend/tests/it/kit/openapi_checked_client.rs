//! Users and workers as clients of the Backend's API. Every answer is checked against the OpenAPI document as it comes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::OnceLock;

use domain::{ClaimResponse, Grant};
use json_schema::JsonSchema;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// The headers of answers that belong to the API, and not to HTTP or to browsers.
const DOCUMENTED_HEADERS: [&str; 10] = [
    "accept-encoding",
    "etag",
    "link",
    "location",
    "preference-applied",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// A client with a token, or with none.
#[derive(Clone)]
pub(crate) struct ApiClient<'a> {
    /// Where the Backend is: `http://HOST:PORT`.
    pub(crate) url: &'a str,
    pub(crate) http: &'a reqwest::Client,
    pub(crate) token: Option<String>,
    /// The process that claims and heartbeats name.
    pub(crate) instance: Uuid,
}

/// A request that is sent when it is awaited.
pub(crate) struct ApiRequest {
    method: Method,
    path: String,
    request: reqwest::RequestBuilder,
}

/// An answer that keeps to the OpenAPI document.
#[derive(Debug)]
pub(crate) struct ApiResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl ApiClient<'_> {
    /// A request for any method and path.
    pub(crate) fn call(&self, method: Method, path: &str) -> ApiRequest {
        let request = self.http.request(method.clone(), format!("{}{path}", self.url));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        ApiRequest { method, path: path.to_owned(), request }
    }

    /// A GET request.
    pub(crate) fn get(&self, path: &str) -> ApiRequest {
        self.call(Method::GET, path)
    }

    /// A POST request.
    pub(crate) fn post(&self, path: &str) -> ApiRequest {
        self.call(Method::POST, path)
    }

    /// A PUT request.
    pub(crate) fn put(&self, path: &str) -> ApiRequest {
        self.call(Method::PUT, path)
    }

    /// Another process that uses the same token.
    pub(crate) fn another_process(&self) -> Self {
        Self { instance: Uuid::new_v4(), ..self.clone() }
    }

    /// Submits a task.
    pub(crate) fn submit(&self, body: Value) -> ApiRequest {
        self.post("/api/Task/").json(body)
    }

    /// Submits a task of type ECHO with a minute to live; its id.
    pub(crate) async fn submit_echo(&self) -> String {
        self.submit(json!({"type": "ECHO", "ttl": 60_000})).await.id()
    }

    /// The task as it is now.
    pub(crate) async fn task(&self, id: &str) -> Value {
        self.get(&format!("/api/Task/{id}")).await.ok()
    }

    /// The task when it has ended, or as it is after 30 s.
    pub(crate) async fn wait_for_end(&self, id: &str) -> Value {
        self.get(&format!("/api/Task/{id}")).prefer("wait=30").await.ok()
    }

    /// Reads the result of a task.
    pub(crate) fn result(&self, id: &str) -> ApiRequest {
        self.get(&format!("/api/Task/{id}/result"))
    }

    /// Cancels a task.
    pub(crate) fn cancel(&self, id: &str) -> ApiRequest {
        self.post(&format!("/api/Task/{id}/cancel"))
    }

    /// Claims one task by the PATCH of the original API.
    pub(crate) fn claim_by_patch(&self, id: &str, worker: &str) -> ApiRequest {
        self.call(Method::PATCH, &format!("/api/Task/request/{id}?workerName={worker}"))
    }

    /// Claims tasks by their ids, under the claim id `claim`.
    pub(crate) fn claim_by_ids(&self, claim: Uuid, worker: &str, ids: &[&str]) -> ApiRequest {
        let body =
            json!({"claim": claim, "worker": worker, "instance": self.instance, "wanted": {"ids": ids}});
        self.post("/api/Task/request").json(body)
    }

    /// Claims one task by its id; its grant.
    pub(crate) async fn claim_one(&self, id: &str, worker: &str) -> Grant {
        let mut grants = self.claim_by_ids(Uuid::new_v4(), worker, &[id]).await.grants();
        assert_eq!(grants.len(), 1, "{id} is free to be claimed");
        grants.remove(0)
    }

    /// Claims tasks of a type, at most `slots`, and waits for at most `wait_ms` milliseconds until there is one.
    pub(crate) fn claim_by_type(
        &self,
        claim: Uuid,
        worker: &str,
        task_type: &str,
        slots: u32,
        wait_ms: u64,
    ) -> ApiRequest {
        let pull = json!({"types": [task_type], "slots": slots});
        let body = json!({"claim": claim, "worker": worker, "instance": self.instance, "wanted": {"pull": pull}, "waitMs": wait_ms});
        self.post("/api/Task/request").json(body)
    }

    /// Claims one task of type ECHO that has been ready for at least `age_ms` milliseconds, and waits for it.
    pub(crate) fn claim_older(&self, age_ms: u64, worker: &str, wait_ms: u64) -> ApiRequest {
        let pull = json!({"types": ["ECHO"], "slots": 1, "minAgeMs": age_ms});
        let claim = Uuid::new_v4();
        let body = json!({"claim": claim, "worker": worker, "instance": self.instance, "wanted": {"pull": pull}, "waitMs": wait_ms});
        self.post("/api/Task/request").json(body)
    }

    /// Reports what became of several grants.
    pub(crate) fn report_all(&self, worker: &str, reports: &[(&Grant, Value)]) -> ApiRequest {
        let report = |(grant, reported): &(&Grant, Value)| json!({"id": grant.id, "type": grant.type_name, "attempt": grant.attempt, "claim": grant.claim, "reported": reported});
        let reports: Vec<Value> = reports.iter().map(report).collect();
        self.post("/api/Task/results").json(json!({"worker": worker, "reports": reports}))
    }

    /// Reports what became of one grant of the worker `w`; how the report was settled.
    pub(crate) async fn report(&self, grant: &Grant, reported: Value) -> Value {
        self.report_as("w", grant, reported).await
    }

    /// The same of any worker.
    pub(crate) async fn report_as(&self, worker: &str, grant: &Grant, reported: Value) -> Value {
        self.report_all(worker, &[(grant, reported)]).await.ok::<Vec<Value>>().remove(0)
    }

    /// Sends a heartbeat of a worker that runs these tasks, each with its attempt.
    pub(crate) fn heartbeat(&self, worker: &str, running: &[(&str, u32)]) -> ApiRequest {
        self.held_heartbeat(worker, running, 0)
    }

    /// The same, which is held for at most `wait_ms` milliseconds until a task must stop.
    pub(crate) fn held_heartbeat(&self, worker: &str, running: &[(&str, u32)], wait_ms: u64) -> ApiRequest {
        let running: Vec<Value> =
            running.iter().map(|(id, attempt)| json!({"id": id, "attempt": attempt})).collect();
        let body = json!({"worker": worker, "instance": self.instance, "slots": 8, "types": ["ECHO"], "running": running, "waitMs": wait_ms});
        self.post("/api/Worker/heartbeat").json(body)
    }
}

impl ApiRequest {
    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Adds a preference (RFC 7240).
    pub(crate) fn prefer(self, preference: &str) -> Self {
        self.header("Prefer", preference)
    }

    /// Sets a JSON body.
    pub(crate) fn json(self, body: Value) -> Self {
        self.body(body.to_string())
    }

    /// Sets a body that claims to be JSON.
    pub(crate) fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.header("Content-Type", "application/json").bytes(body)
    }

    /// Sets a body that claims to be nothing.
    pub(crate) fn bytes(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(body);
        self
    }
}

impl IntoFuture for ApiRequest {
    type Output = ApiResponse;
    type IntoFuture = Pin<Box<dyn Future<Output = ApiResponse> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let answer = ApiResponse { status, headers, text: response.text().await.unwrap() };
            answer.assert_documented(&self.method, &self.path);
            answer
        })
    }
}

impl ApiResponse {
    /// Asserts the status; a failure shows the body.
    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The JSON body of a 200.
    #[track_caller]
    pub(crate) fn ok<T: DeserializeOwned>(self) -> T {
        self.expect_status(200).read()
    }

    /// The JSON body.
    #[track_caller]
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The task's id in the 201 of a submission.
    #[track_caller]
    pub(crate) fn id(self) -> String {
        self.expect_status(201).read()
    }

    /// The grants in the 200 of a claim request.
    #[track_caller]
    pub(crate) fn grants(self) -> Vec<Grant> {
        self.ok::<ClaimResponse>().tasks
    }

    /// The grants of a claim request, or `None` if it was refused because it repeats one that is being served.
    #[track_caller]
    pub(crate) fn grants_unless_duplicate(self) -> Option<Vec<Grant>> {
        if self.status == 409 {
            assert_eq!(self.problem().1, "duplicate-claim");
            return None;
        }
        Some(self.grants())
    }

    /// The status and the slug of a problem (RFC 9457), whose body is checked.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        let problem: Value = self.read();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        let path = problem["type"].as_str().unwrap();
        (self.status, path.strip_prefix("/errors/").unwrap().to_owned())
    }

    /// The `errors` of a problem: the sentence at each JSON pointer.
    #[track_caller]
    pub(crate) fn errors(&self) -> BTreeMap<String, String> {
        let problem: Value = self.read();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| (text(&error["pointer"]), text(&error["detail"]))).collect()
    }

    /// The value of a header.
    pub(crate) fn header(&self, name: &'static str) -> Option<&str> {
        self.headers.get(HeaderName::from_static(name)).map(|value| value.to_str().unwrap())
    }

    /// Asserts that the OpenAPI document allows this status, these headers, media type and body.
    #[track_caller]
    fn assert_documented(&self, method: &Method, path: &str) {
        static DOCUMENT: OnceLock<Value> = OnceLock::new();
        let document = DOCUMENT.get_or_init(|| serde_json::to_value(backend::openapi()).unwrap());
        let is_temporary = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE]
            .iter()
            .any(|status| self.status == *status);
        assert!(!is_temporary || self.headers.contains_key("retry-after"), "{method} {path}: {}", self.text);
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let Some(template) = template(document, path) else { return };
        let operation = &document["paths"][template][method.as_str().to_lowercase()];
        if operation.is_null() || self.status == StatusCode::INTERNAL_SERVER_ERROR {
            return;
        }
        let documented = &operation["responses"][self.status.to_string()];
        assert!(
            documented.is_object(),
            "{method} {template} does not document {}: {}",
            self.status,
            self.text
        );
        for name in DOCUMENTED_HEADERS.iter().filter(|name| self.headers.contains_key(**name)) {
            let mut names = documented["headers"].as_object().into_iter().flat_map(|headers| headers.keys());
            assert!(
                names.any(|documented| documented.eq_ignore_ascii_case(name)),
                "{method} {template} {} does not document {name}",
                self.status
            );
        }
        if matches!(self.status, 204 | 304) {
            assert!(
                documented["content"].is_null() && self.text.is_empty(),
                "{method} {template}: {}",
                self.text
            );
            return;
        }
        let media_type = self.header("content-type").unwrap_or_default();
        let content = &documented["content"][media_type];
        assert!(content.is_object(), "{method} {template} does not document {media_type}");
        // The schema refers to the document's components.
        let mut schema = content["schema"].clone();
        schema["components"] = document["components"].clone();
        let body: Value = serde_json::from_str(&self.text).unwrap();
        let violations = JsonSchema::compile(&schema).unwrap().violations(&body);
        assert!(
            violations.is_empty(),
            "{method} {template} answers {} with a body that it does not document: {violations:?}",
            self.status
        );
    }
}

/// The path template of the document that a path matches.
fn template<'a>(document: &'a Value, path: &str) -> Option<&'a str> {
    let matches = |template: &&'a String| {
        let (patterns, segments) = (template.split('/'), path.split('/'));
        let is_match = |(pattern, segment): (&str, &str)| {
            pattern.starts_with('{') || pattern.eq_ignore_ascii_case(segment)
        };
        patterns.clone().count() == segments.clone().count() && patterns.zip(segments).all(is_match)
    };
    document["paths"]
        .as_object()?
        .keys()
        .filter(matches)
        .min_by_key(|template| template.matches('{').count())
        .map(|t| &**t)
}
