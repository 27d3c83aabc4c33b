//! A scripted Identity and Backend in one: it answers what it is told to, in order, and remembers what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use client::{Client, Credentials, Settings};
use domain::Problem;
use serde_json::{Value, json};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// A request, as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) struct Server {
    pub(crate) address: String,
    script: Arc<Script>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Script {
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    requests: Mutex<Vec<Request>>,
}

/// A status, headers and a body.
type Answer = (StatusCode, HeaderMap, String);

pub(crate) const TOKEN: &str = "/connect/token";

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script::default());
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&script));
        let serving = TaskTracker::new().spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, script, _serving: AbortOnDropHandle::new(serving) }
    }

    /// A client with a secret, whose tokens come from here.
    pub(crate) fn client(&self) -> Client {
        self.client_as(Credentials::Client {
            identity: self.address.clone(),
            id: "rig".to_owned(),
            secret: "hush".into(),
        })
    }

    pub(crate) fn client_as(&self, credentials: Credentials) -> Client {
        Client::new(Settings { backend: self.address.clone(), credentials, ca: None }).unwrap()
    }

    /// The next request to `path` is answered with this, after those answers that were given before.
    pub(crate) fn answer(&self, path: &str, status: u16, body: &Value) {
        self.answer_with(path, status, "application/json", body);
    }

    pub(crate) fn token(&self, token: &str, expires_in: u64) {
        self.answer(
            TOKEN,
            200,
            &json!({ "access_token": token, "expires_in": expires_in, "token_type": "Bearer" }),
        );
    }

    /// A problem that asks for a pause of 7 seconds.
    pub(crate) fn problem(&self, path: &str, status: u16, detail: &str) {
        let problem = serde_json::to_value(Problem::new(status, "scripted", "As told", detail)).unwrap();
        self.answer_with(path, status, Problem::MEDIA_TYPE, &problem);
    }

    fn answer_with(&self, path: &str, status: u16, media_type: &str, body: &Value) {
        let headers = [(header::CONTENT_TYPE, media_type), (header::RETRY_AFTER, "7")];
        let headers = headers.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        let answer = (StatusCode::from_u16(status).unwrap(), headers, body.to_string());
        self.script.answers.lock().unwrap().entry(path.to_owned()).or_default().push_back(answer);
    }

    /// What was asked of `path`, in order.
    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let requests = self.script.requests.lock().unwrap();
        requests.iter().filter(|request| request.path == path).cloned().collect()
    }
}

async fn answer(
    State(script): State<Arc<Script>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (path, body) = (uri.path().to_owned(), String::from_utf8(body.into()).unwrap());
    let query = uri.query().unwrap_or_default().to_owned();
    script.requests.lock().unwrap().push(Request { method, path: path.clone(), query, headers, body });
    let told = script.answers.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    told.unwrap_or_else(|| (StatusCode::IM_A_TEAPOT, HeaderMap::new(), "nothing was told".to_owned()))
        .into_response()
}
