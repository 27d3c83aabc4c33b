//! A scripted Backend: it grants the tasks that a test adds, fails where the test says so, and records all requests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{post, put};
use client::{Client, Credentials};
use domain::problem_types::requests::{BODY_TOO_LARGE, BUSY, INTERNAL};
use domain::problem_types::workers::{ANOTHER_INSTALLATION, WORKER_NAME_TAKEN};
use domain::{
    AttemptOutcome, ClaimId, ClaimRequest, ClaimResponse, ClaimTarget, Grant, GrantRef, Heartbeat,
    HeartbeatResponse, InstallationId, Problem, ProblemType, ProgressReports, Pull, Report, Reports,
    SettleResult, TaskId,
};
use futures_util::stream;
use serde_json::json;
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

/// The installation of the Backends, except those of [`Backend::start_in`].
pub(crate) const INSTALLATION: InstallationId = InstallationId(Uuid::from_u128(1));

/// How one request fails.
pub(crate) enum Fault {
    /// Status 503; the request has no effect.
    Unavailable,
    /// The request takes effect, and the connection is closed within the response.
    ConnectionClosed,
    /// A problem of this status; the request has no effect.
    Problem(u16),
    /// The problem that the worker's name belongs to another process; the request has no effect.
    NameTaken,
    /// The request takes effect when the test sends.
    DelayedUntil(oneshot::Receiver<()>),
}

/// A request that the Backend received.
pub(crate) enum Request {
    Registration(Box<domain::Operation>),
    Claim(ClaimRequest),
    Reports(Reports),
    Heartbeat(Heartbeat),
    Progress(ProgressReports),
    HeldHeartbeat(Heartbeat),
}

pub(crate) struct Backend {
    pub(crate) address: String,
    requests: mpsc::UnboundedReceiver<Request>,
    script: Arc<Script>,
    _stop: oneshot::Sender<()>,
}

struct Script {
    state: Mutex<State>,
    task_added: Notify,
    stop_added: Notify,
    installation: InstallationId,
    requests: mpsc::UnboundedSender<Request>,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Grant>,
    claims: HashMap<ClaimId, Vec<Grant>>,
    faults: HashMap<&'static str, VecDeque<Fault>>,
    stop: Vec<GrantRef>,
    /// How many of them the answers to held heartbeats have named.
    pushed: usize,
    /// Pulls are granted all ready tasks, whatever their number of slots.
    ignores_slots: bool,
    /// Granted, and no report about them has been accepted.
    open_grants: HashSet<TaskId>,
    max_open_grants: usize,
    /// Requests with a longer result, in bytes, are refused with status 413.
    max_result_bytes: Option<usize>,
    /// Requests with a report about this task fail with status 500.
    failing_report: Option<TaskId>,
}

pub(crate) const CLAIMS: &str = "/api/Task/request";
pub(crate) const RESULTS: &str = "/api/Task/results";
pub(crate) const PROGRESS: &str = "/api/Task/progress";
pub(crate) const HEARTBEATS: &str = "/api/Worker/heartbeat";
pub(crate) const OPERATIONS: &str = "/api/Operation";
pub(crate) const TOKENS: &str = "/connect/token";

/// Waits for what must happen; only a broken worker lets the time limit pass.
pub(crate) async fn in_time<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), awaited).await.expect("within 30 seconds")
}

impl Backend {
    /// Serves from a thread of its own, so that a test that blocks its runtime does not block the Backend.
    pub(crate) fn start() -> Self {
        Self::start_in(INSTALLATION)
    }

    /// A Backend of this installation. It refuses requests that are for another one, and does not record them.
    pub(crate) fn start_in(installation: InstallationId) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (recorded, requests) = mpsc::unbounded_channel();
        let script = Arc::new(Script {
            state: Mutex::default(),
            task_added: Notify::new(),
            stop_added: Notify::new(),
            installation,
            requests: recorded,
        });
        let routes = Router::new()
            .route(CLAIMS, post(claim))
            .route(RESULTS, post(report))
            .route(PROGRESS, post(progress))
            .route(HEARTBEATS, post(heartbeat))
            .route(&format!("{OPERATIONS}/{{name}}"), put(register))
            .route(TOKENS, post(token))
            .layer(from_fn_with_state(installation, refuse_other_installations))
            .with_state(Arc::clone(&script));
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, routes) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, requests, script, _stop: stop }
    }

    /// A client of this Backend, and of `others` when this one is gone.
    pub(crate) fn client_with(&self, others: &[&Self]) -> Client {
        let backends = [self].iter().chain(others).map(|backend| backend.address.clone()).collect();
        let credentials = Credentials::Token("a token".into());
        Client::new(client::Settings { backends, credentials, ca: None }).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_as(Credentials::Token("a token".into()))
    }

    pub(crate) fn client_as(&self, credentials: Credentials) -> Client {
        Client::new(client::Settings { backends: vec![self.address.clone()], credentials, ca: None }).unwrap()
    }

    /// Adds a ready task with the given time to live.
    pub(crate) fn add_task(&self, name: &str, parameters: &str, ttl: Duration) -> TaskId {
        let id: TaskId = ClaimId::random().to_string().parse().unwrap();
        let grant = Grant {
            id,
            type_name: name.parse().unwrap(),
            parameters: Some(domain::RawJson::parse(parameters.to_owned()).unwrap())
                .filter(|json| !json.is_null()),
            attempt: 1,
            claim: ClaimId::random(),
            remaining_ms: u64::try_from(ttl.as_millis()).unwrap(),
            trace: None,
        };
        self.state().ready.push_back(grant);
        self.script.task_added.notify_one();
        id
    }

    /// Makes one request to `path` fail: the next one for which no fault was added before.
    pub(crate) fn fail(&self, path: &'static str, fault: Fault) {
        self.state().faults.entry(path).or_default().push_back(fault);
    }

    /// Makes every response to a heartbeat say that `grant` must stop, and the next response to one that is held.
    pub(crate) fn stop(&self, grant: GrantRef) {
        self.state().stop.push(grant);
        self.script.stop_added.notify_waiters();
    }

    /// Grants all ready tasks to the next pull, whatever its number of slots.
    pub(crate) fn ignore_slots(&self) {
        self.state().ignores_slots = true;
    }

    /// Refuses requests with a result of more than `bytes` bytes.
    pub(crate) fn limit_results(&self, bytes: usize) {
        self.state().max_result_bytes = Some(bytes);
    }

    /// Fails every request with a report about `task` with status 500; none with `None`.
    pub(crate) fn fail_reports_about(&self, task: Option<TaskId>) {
        self.state().failing_report = task;
    }

    /// How many grants are open: no report about them has been accepted.
    pub(crate) fn open_grants(&self) -> usize {
        self.state().open_grants.len()
    }

    /// The largest number of grants that were open when a worker pulled.
    pub(crate) fn max_open_grants(&self) -> usize {
        self.state().max_open_grants
    }

    /// Whether it has received no request but those that it refused for their installation.
    pub(crate) fn is_untouched(&self) -> bool {
        self.requests.is_empty()
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Request {
        self.next_of(Some).await
    }

    pub(crate) async fn registration(&mut self) -> domain::Operation {
        let matching = |request| if let Request::Registration(it) = request { Some(*it) } else { None };
        self.next_of(matching).await
    }

    pub(crate) async fn claim_request(&mut self) -> ClaimRequest {
        let matching = |request| if let Request::Claim(it) = request { Some(it) } else { None };
        self.next_of(matching).await
    }

    pub(crate) async fn heartbeat(&mut self) -> Heartbeat {
        let matching = |request| if let Request::Heartbeat(it) = request { Some(it) } else { None };
        self.next_of(matching).await
    }

    pub(crate) async fn progress(&mut self) -> ProgressReports {
        let matching = |request| if let Request::Progress(it) = request { Some(it) } else { None };
        self.next_of(matching).await
    }

    pub(crate) async fn held_heartbeat(&mut self) -> Heartbeat {
        let matching = |request| if let Request::HeldHeartbeat(it) = request { Some(it) } else { None };
        self.next_of(matching).await
    }

    pub(crate) async fn reports(&mut self) -> Vec<Report> {
        let matching = |request| if let Request::Reports(it) = request { Some(it.reports) } else { None };
        self.next_of(matching).await
    }

    /// The next request for which `matching` returns something; earlier ones are skipped.
    async fn next_of<T>(&mut self, matching: impl Fn(Request) -> Option<T>) -> T {
        let next = async {
            loop {
                if let Some(found) = matching(self.requests.recv().await.expect("the Backend serves")) {
                    return found;
                }
            }
        };
        in_time(next).await
    }

    /// The report of the next request with reports, which must have exactly one.
    pub(crate) async fn report(&mut self) -> Report {
        let mut reports = self.reports().await;
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.remove(0)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.script.state.lock().unwrap()
    }
}

impl Script {
    fn record(&self, request: Request) {
        let _ = self.requests.send(request);
    }

    /// The response to a request: that of `handled`, or the next fault that was added for `path`.
    async fn respond<F: Future<Output = Response>>(&self, path: &'static str, handled: F) -> Response {
        let fault = self.state.lock().unwrap().faults.get_mut(path).and_then(VecDeque::pop_front);
        match fault {
            None => handled.await,
            Some(Fault::Unavailable) => problem(503, &BUSY),
            Some(Fault::Problem(status)) => problem(status, &INTERNAL),
            Some(Fault::NameTaken) => problem(409, &WORKER_NAME_TAKEN),
            Some(Fault::DelayedUntil(signal)) => {
                let _ = signal.await;
                handled.await
            }
            Some(Fault::ConnectionClosed) => {
                handled.await;
                let closed = io::Error::other("closed");
                Body::from_stream(stream::iter([Ok(Bytes::from("{")), Err(closed)])).into_response()
            }
        }
    }

    /// The response to a claim request: the grants under its claim id, or new ones as soon as there are any.
    async fn claim(&self, request: &ClaimRequest) -> ClaimResponse {
        let arrived = Instant::now();
        let until = arrived + Duration::from_millis(request.wait_ms);
        loop {
            let tasks = self.grant(request);
            let wait = tokio::time::timeout_at(until.into(), self.task_added.notified());
            if !tasks.is_empty() || wait.await.is_err() {
                let held_ms = u64::try_from(arrived.elapsed().as_millis()).unwrap();
                return ClaimResponse { held_ms, max_held_ms: request.wait_ms, tasks };
            }
        }
    }

    /// The grants that must stop.
    fn stop(&self) -> Vec<GrantRef> {
        self.state.lock().unwrap().stop.clone()
    }

    /// The same, for a heartbeat that is held: those that no answer to one has named, once there are any.
    async fn stop_held(&self, wait: Duration) -> Vec<GrantRef> {
        let next = async {
            loop {
                let more = self.stop_added.notified();
                {
                    let mut state = self.state.lock().unwrap();
                    let added = state.stop.len();
                    let pushed = std::mem::replace(&mut state.pushed, added);
                    if pushed < state.stop.len() {
                        return state.stop[pushed..].to_vec();
                    }
                }
                more.await;
            }
        };
        tokio::time::timeout(wait, next).await.unwrap_or_default()
    }

    fn grant(&self, request: &ClaimRequest) -> Vec<Grant> {
        let mut guard = self.state.lock().unwrap();
        let state = &mut *guard;
        if let Some(granted) = state.claims.get(&request.claim) {
            return granted.clone();
        }
        let ready: Vec<Grant> = match &request.wanted {
            ClaimTarget::Pull(Pull { slots, types, .. }) => {
                assert!(*slots > 0 && !types.is_empty(), "a pull names slots and types");
                state.max_open_grants = state.max_open_grants.max(state.open_grants.len());
                let slots = if state.ignores_slots { usize::MAX } else { usize::try_from(*slots).unwrap() };
                state.ready.drain(..slots.min(state.ready.len())).collect()
            }
            ClaimTarget::Ids(ids) => {
                let (claimed, others): (Vec<_>, Vec<_>) =
                    state.ready.drain(..).partition(|grant| ids.contains(&grant.id));
                state.ready.extend(others);
                claimed
            }
        };
        let tasks: Vec<_> = ready.into_iter().map(|grant| Grant { claim: request.claim, ..grant }).collect();
        if !tasks.is_empty() {
            state.open_grants.extend(tasks.iter().map(|grant| grant.id));
            state.claims.insert(request.claim, tasks.clone());
        }
        tasks
    }
}

async fn refuse_other_installations(
    Extract(installation): Extract<InstallationId>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    match request.headers().get("Tasker-Installation") {
        Some(named) if named.to_str().unwrap() != installation.to_string() => {
            problem(421, &ANOTHER_INSTALLATION)
        }
        _ => next.run(request).await,
    }
}

async fn register(Extract(script): Extract<Arc<Script>>, body: Bytes) -> Response {
    script.record(Request::Registration(Box::new(read(&body))));
    script.respond(OPERATIONS, async { StatusCode::CREATED.into_response() }).await
}

async fn claim(Extract(script): Extract<Arc<Script>>, body: Bytes) -> Response {
    let request: ClaimRequest = read(&body);
    script.record(Request::Claim(request.clone()));
    script.respond(CLAIMS, async { Json(script.claim(&request).await).into_response() }).await
}

async fn report(Extract(script): Extract<Arc<Script>>, body: Bytes) -> Response {
    let reports: Reports = read(&body);
    let settled: Vec<SettleResult> = reports.reports.iter().map(settle).collect();
    let ids: Vec<TaskId> = reports.reports.iter().map(|report| report.id).collect();
    let longest = reports.reports.iter().map(result_bytes).max().unwrap_or(0);
    script.record(Request::Reports(reports));
    let (limit, failing) = {
        let state = script.state.lock().unwrap();
        (state.max_result_bytes, state.failing_report)
    };
    if limit.is_some_and(|limit| longest > limit) {
        return problem(413, &BODY_TOO_LARGE);
    }
    if failing.is_some_and(|failing| ids.contains(&failing)) {
        return problem(500, &INTERNAL);
    }
    script
        .respond(RESULTS, async {
            script.state.lock().unwrap().open_grants.retain(|id| !ids.contains(id));
            Json(settled).into_response()
        })
        .await
}

fn result_bytes(report: &Report) -> usize {
    match &report.reported {
        AttemptOutcome::Result(result) => result.text().len(),
        AttemptOutcome::Error(_) | AttemptOutcome::Released => 0,
    }
}

fn settle(report: &Report) -> SettleResult {
    match report.reported {
        AttemptOutcome::Result(_) => SettleResult::Finished,
        AttemptOutcome::Error(_) => SettleResult::Cancelled { reason: domain::Reason::OperationFailed },
        AttemptOutcome::Released => SettleResult::Released,
    }
}

async fn heartbeat(Extract(script): Extract<Arc<Script>>, body: Bytes) -> Response {
    let heartbeat: Heartbeat = read(&body);
    let wait = Duration::from_millis(heartbeat.wait_ms);
    script.record(if wait.is_zero() {
        Request::Heartbeat(heartbeat)
    } else {
        Request::HeldHeartbeat(heartbeat)
    });
    let answer = async {
        let stop = if wait.is_zero() { script.stop() } else { script.stop_held(wait).await };
        Json(HeartbeatResponse { stop, installation: script.installation }).into_response()
    };
    script.respond(HEARTBEATS, answer).await
}

async fn progress(Extract(script): Extract<Arc<Script>>, body: Bytes) -> Response {
    script.record(Request::Progress(read(&body)));
    script.respond(PROGRESS, async { StatusCode::NO_CONTENT.into_response() }).await
}

async fn token(Extract(script): Extract<Arc<Script>>, uri: Uri) -> Response {
    let answer = script.respond(TOKENS, async {
        Json(json!({ "access_token": uri.path(), "expires_in": 3600, "token_type": "Bearer" }))
            .into_response()
    });
    let answer = answer.await;
    if answer.status() == StatusCode::UNAUTHORIZED {
        let error = json!({ "error": "invalid_client", "error_description": "there is no such client" });
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    answer
}

fn problem(status: u16, of: &ProblemType) -> Response {
    let problem = Problem { status, ..Problem::new(of, "the script of the test says so") };
    let body = serde_json::to_vec(&problem).unwrap();
    let headers = [(header::CONTENT_TYPE, Problem::MEDIA_TYPE)];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).expect("the worker sends the types of the crate domain")
}
