//! A scripted Identity and Backend in one: it sends prepared responses in order, and records the requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use client::{Client, Credentials, Settings};
use domain::Problem;
use domain::problem_types::requests::INTERNAL;
use serde_json::{Value, json};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// A recorded request.
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

/// A server on a port of its own, which runs until this is dropped.
pub(crate) struct ScriptedServer {
    pub(crate) address: String,
    script: Arc<Script>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Script {
    responses: Mutex<HashMap<String, VecDeque<ScriptedResponse>>>,
    requests: Mutex<Vec<Request>>,
}

/// A status, headers and a body.
type ScriptedResponse = (StatusCode, HeaderMap, String);

/// The path of the token endpoint.
pub(crate) const TOKEN: &str = "/connect/token";

impl ScriptedServer {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script::default());
        let routes = Router::new().fallback(next_response).with_state(Arc::clone(&script));
        let serving = TaskTracker::new().spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { address, script, _serving: AbortOnDropHandle::new(serving) }
    }

    /// A client with client credentials, whose tokens this server issues.
    pub(crate) fn client(&self) -> Client {
        self.client_as(Credentials::Client {
            identity: self.address.clone(),
            id: "rig".to_owned(),
            secret: "hush".into(),
        })
    }

    pub(crate) fn client_as(&self, credentials: Credentials) -> Client {
        Client::new(Settings { backends: vec![self.address.clone()], credentials, ca: None }).unwrap()
    }

    /// Appends a response to those for requests to `path`.
    pub(crate) fn respond(&self, path: &str, status: u16, body: &Value) {
        self.respond_with(path, status, "application/json", body);
    }

    /// Appends a response with server-sent events.
    pub(crate) fn events(&self, path: &str, text: &str) {
        let headers = [(header::CONTENT_TYPE, "text/event-stream".parse().unwrap())].into_iter().collect();
        let response = (StatusCode::OK, headers, text.to_owned());
        self.script.responses.lock().unwrap().entry(path.to_owned()).or_default().push_back(response);
    }

    /// Appends a token response; `expires_in` in seconds.
    pub(crate) fn token(&self, token: &str, expires_in: u64) {
        self.respond(
            TOKEN,
            200,
            &json!({ "access_token": token, "expires_in": expires_in, "token_type": "Bearer" }),
        );
    }

    /// Appends a problem with a `Retry-After` of 7 seconds.
    pub(crate) fn problem(&self, path: &str, status: u16, detail: &str) {
        let problem = Problem { status, ..Problem::new(&INTERNAL, detail) };
        let problem = serde_json::to_value(problem).unwrap();
        self.respond_with(path, status, Problem::MEDIA_TYPE, &problem);
    }

    fn respond_with(&self, path: &str, status: u16, media_type: &str, body: &Value) {
        // The status of a proxy comes without a time.
        let retry_after = if status == 502 { "0" } else { "7" };
        self.respond_with_headers(path, status, media_type, retry_after, body);
    }

    /// Appends a response with this media type and this `Retry-After`.
    pub(crate) fn respond_with_headers(
        &self,
        path: &str,
        status: u16,
        media_type: &str,
        retry_after: &str,
        body: &Value,
    ) {
        let headers = [(header::CONTENT_TYPE, media_type), (header::RETRY_AFTER, retry_after)];
        let headers = headers.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
        let response = (StatusCode::from_u16(status).unwrap(), headers, body.to_string());
        self.script.responses.lock().unwrap().entry(path.to_owned()).or_default().push_back(response);
    }

    /// The requests to `path`, in order.
    pub(crate) fn requests(&self, path: &str) -> Vec<Request> {
        let requests = self.script.requests.lock().unwrap();
        requests.iter().filter(|request| request.path == path).cloned().collect()
    }
}

async fn next_response(
    State(script): State<Arc<Script>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (path, body) = (uri.path().to_owned(), String::from_utf8(body.into()).unwrap());
    let query = uri.query().unwrap_or_default().to_owned();
    script.requests.lock().unwrap().push(Request { method, path: path.clone(), query, headers, body });
    let scripted = script.responses.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    scripted
        .unwrap_or_else(|| (StatusCode::IM_A_TEAPOT, HeaderMap::new(), "no response was scripted".to_owned()))
        .into_response()
}
