//! Users and workers as they speak to the Backend. Each answer is compared with the published contract as it comes.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::OnceLock;

use domain::{ClaimResponse, Grant};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::service::WorkerCaller;

/// Somebody with a token, or nobody.
#[derive(Clone)]
pub(crate) struct Person<'a> {
    pub(crate) service: &'a WorkerCaller,
    pub(crate) token: Option<String>,
}

/// A request that is sent when it is awaited.
pub(crate) struct Call {
    method: Method,
    path: String,
    request: reqwest::RequestBuilder,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Person<'_> {
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        let request = self.service.http.request(method.clone(), format!("{}{path}", self.service.url));
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        Call { method, path: path.to_owned(), request }
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn put(&self, path: &str) -> Call {
        self.call(Method::PUT, path)
    }

    /// Submits a task.
    pub(crate) fn submit(&self, body: Value) -> Call {
        self.post("/api/Task/").json(body)
    }

    /// Submits a task that waits for a claim; its id.
    pub(crate) async fn created(&self) -> String {
        self.submit(json!({"type": "ECHO", "ttl": 60_000})).await.id()
    }

    /// How the task stands now.
    pub(crate) async fn task(&self, id: &str) -> Value {
        self.get(&format!("/api/Task/{id}")).await.ok()
    }

    /// How the task stands when it has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.get(&format!("/api/Task/{id}")).prefer("wait=30").await.ok()
    }

    pub(crate) fn result(&self, id: &str) -> Call {
        self.get(&format!("/api/Task/{id}/result"))
    }

    pub(crate) fn cancel(&self, id: &str) -> Call {
        self.post(&format!("/api/Task/{id}/cancel"))
    }

    /// Asks for permission as the original's workers do.
    pub(crate) fn ask(&self, id: &str, worker: &str) -> Call {
        self.call(Method::PATCH, &format!("/api/Task/request/{id}?workerName={worker}"))
    }

    /// Asks for certain tasks under a claim.
    pub(crate) fn claim(&self, claim: Uuid, worker: &str, ids: &[&str]) -> Call {
        let ask = json!({"claim": claim, "worker": worker, "wanted": {"ids": ids}});
        self.post("/api/Task/request").json(ask)
    }

    /// Is granted one task, by its id.
    pub(crate) async fn granted(&self, id: &str, worker: &str) -> Grant {
        let mut grants = self.claim(Uuid::new_v4(), worker, &[id]).await.grants();
        assert_eq!(grants.len(), 1, "nobody else wants {id}");
        grants.remove(0)
    }

    /// Asks for whatever waits of a type, and waits for it.
    pub(crate) fn pull(&self, claim: Uuid, worker: &str, kind: &str, slots: u32, wait_ms: u64) -> Call {
        let pull = json!({"types": [kind], "slots": slots});
        let ask = json!({"claim": claim, "worker": worker, "wanted": {"pull": pull}, "waitMs": wait_ms});
        self.post("/api/Task/request").json(ask)
    }

    /// The same for what has been ready for a while.
    pub(crate) fn pull_older(&self, age_ms: u64, worker: &str, wait_ms: u64) -> Call {
        let pull = json!({"types": ["ECHO"], "slots": 1, "minAgeMs": age_ms});
        let ask =
            json!({"claim": Uuid::new_v4(), "worker": worker, "wanted": {"pull": pull}, "waitMs": wait_ms});
        self.post("/api/Task/request").json(ask)
    }

    /// Reports of grants, each with what happened.
    pub(crate) fn reports(&self, worker: &str, reports: &[(&Grant, Value)]) -> Call {
        let report = |(grant, reported): &(&Grant, Value)| json!({"id": grant.id, "attempt": grant.attempt, "claim": grant.claim, "reported": reported});
        let reports: Vec<Value> = reports.iter().map(report).collect();
        self.post("/api/Task/results").json(json!({"worker": worker, "reports": reports}))
    }

    /// Reports one; what became of it.
    pub(crate) async fn report(&self, grant: &Grant, reported: Value) -> Value {
        self.reports("w", &[(grant, reported)]).await.ok::<Vec<Value>>().remove(0)
    }

    /// A sign of life; the answer.
    pub(crate) fn beat(&self, worker: &str, running: &[(&str, u32)]) -> Call {
        let running: Vec<Value> =
            running.iter().map(|(id, attempt)| json!({"id": id, "attempt": attempt})).collect();
        let beat = json!({"worker": worker, "slots": 8, "types": ["ECHO"], "running": running});
        self.post("/api/Worker/heartbeat").json(beat)
    }
}

impl Call {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn prefer(self, wish: &str) -> Self {
        self.header("Prefer", wish)
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.header("Content-Type", "application/json").body(body);
        self
    }
}

impl IntoFuture for Call {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let response = self.request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let answer = Answer { status, headers, text: response.text().await.unwrap() };
            answer.is_in_the_contract(&self.method, &self.path);
            answer
        })
    }
}

impl Answer {
    /// The one expected status, or a failure that shows what came instead.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// What a 200 says.
    #[track_caller]
    pub(crate) fn ok<T: DeserializeOwned>(self) -> T {
        self.is(200).read()
    }

    #[track_caller]
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The id in the answer to a submission.
    #[track_caller]
    pub(crate) fn id(self) -> String {
        self.is(201).read()
    }

    /// The grants in the answer to an ask.
    #[track_caller]
    pub(crate) fn grants(self) -> Vec<Grant> {
        self.ok::<ClaimResponse>().tasks
    }

    /// The status and the kind of a refusal.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text);
        let problem: Value = self.read();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        let kind = problem["type"].as_str().unwrap();
        (self.status, kind.strip_prefix("urn:tasker:problem:").unwrap().to_owned())
    }

    /// The faults of a refusal: pointer and sentence.
    #[track_caller]
    pub(crate) fn faults(&self) -> BTreeMap<String, String> {
        let problem: Value = self.read();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let faults = problem["errors"].as_array().cloned().unwrap_or_default();
        faults.iter().map(|fault| (text(&fault["pointer"]), text(&fault["detail"]))).collect()
    }

    pub(crate) fn header(&self, name: &'static str) -> Option<&str> {
        self.headers.get(HeaderName::from_static(name)).map(|value| value.to_str().unwrap())
    }

    /// Whatever the Backend says, the document says that it may.
    #[track_caller]
    fn is_in_the_contract(&self, method: &Method, path: &str) {
        static DOCUMENT: OnceLock<Value> = OnceLock::new();
        let document = DOCUMENT.get_or_init(|| serde_json::to_value(backend::openapi()).unwrap());
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
        let kind = self.header("content-type").unwrap_or_default();
        let content = &documented["content"][kind];
        assert!(content.is_object(), "{method} {template} does not document {kind}");
        // The parts that the schema names stand in the document.
        let mut schema = content["schema"].clone();
        schema["components"] = document["components"].clone();
        let body: Value = serde_json::from_str(&self.text).unwrap();
        if let Err(fault) = jsonschema::validate(&schema, &body) {
            panic!("{method} {template} answers {} with what it does not document: {fault}", self.status);
        }
    }
}

/// The document's path that an address belongs to.
fn template<'a>(document: &'a Value, path: &str) -> Option<&'a str> {
    let fits = |template: &&'a String| {
        let (parts, words) = (template.split('/'), path.split('/'));
        parts.clone().count() == words.clone().count()
            && parts.zip(words).all(|(part, word)| part.starts_with('{') || part.eq_ignore_ascii_case(word))
    };
    document["paths"]
        .as_object()?
        .keys()
        .filter(fits)
        .min_by_key(|template| template.matches('{').count())
        .map(|t| &**t)
}
