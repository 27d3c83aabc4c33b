//! A scripted Backend: it grants what it is given, fails when it is told to, and remembers what it heard.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{post, put};
use client::{Client, Credentials};
use domain::{
    ClaimId, ClaimRequest, ClaimResponse, ClaimTarget, Grant, GrantRef, Heartbeat, HeartbeatResponse,
    Problem, Report, ReportOutcome, Reports, SettleResult, TaskId,
};
use futures_util::stream;
use serde_json::json;
use tokio::sync::{Notify, mpsc, oneshot};

/// What goes wrong with one request.
pub(crate) enum Fault {
    /// 503, before anything is done.
    Unavailable,
    /// It is done, and the connection is cut before the answer.
    Cut,
    /// A problem of this status, before anything is done.
    Problem(u16),
    /// Nothing is done before the test says so.
    Wait(oneshot::Receiver<()>),
}

/// What the Backend heard.
pub(crate) enum Event {
    Registered(domain::Operation),
    Asked(ClaimRequest),
    Reported(Reports),
    Beat(Heartbeat),
}

pub(crate) struct Backend {
    pub(crate) address: String,
    events: mpsc::UnboundedReceiver<Event>,
    script: Arc<Script>,
    _stop: oneshot::Sender<()>,
}

struct Script {
    state: Mutex<Told>,
    more: Notify,
    events: mpsc::UnboundedSender<Event>,
}

#[derive(Default)]
struct Told {
    ready: VecDeque<Grant>,
    claims: HashMap<ClaimId, Vec<Grant>>,
    faults: HashMap<&'static str, VecDeque<Fault>>,
    stop: Vec<GrantRef>,
    /// Whether asks are granted more than they wish for.
    is_generous: bool,
    /// Granted, and nothing that was reported of it has been accepted.
    open: HashSet<TaskId>,
    most_open: usize,
    /// The longest results that it takes, in bytes.
    longest: Option<usize>,
    /// It breaks over every report of this one.
    poison: Option<TaskId>,
}

pub(crate) const ASKS: &str = "/api/Task/request";
pub(crate) const RESULTS: &str = "/api/Task/results";
pub(crate) const HEARTBEATS: &str = "/api/Worker/heartbeat";
pub(crate) const CATALOGUE: &str = "/api/Operation";
pub(crate) const TOKENS: &str = "/connect/token";

/// What is waited for; nothing in these tests takes this long unless it is broken.
pub(crate) async fn in_time<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), awaited).await.expect("it happens in time")
}

impl Backend {
    /// Listens from a thread of its own, so that nothing a test does to its runtime reaches it.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (heard, events) = mpsc::unbounded_channel();
        let script = Arc::new(Script { state: Mutex::default(), more: Notify::new(), events: heard });
        let routes = Router::new()
            .route(ASKS, post(asked))
            .route(RESULTS, post(reported))
            .route(HEARTBEATS, post(heartbeat_loop))
            .route(&format!("{CATALOGUE}/{{name}}"), put(registered))
            .route(TOKENS, post(token))
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
        Self { address, events, script, _stop: stop }
    }

    pub(crate) fn client(&self) -> Client {
        self.client_as(Credentials::Token("a token".into()))
    }

    pub(crate) fn client_as(&self, credentials: Credentials) -> Client {
        Client::new(client::Settings { backend: self.address.clone(), credentials, ca: None }).unwrap()
    }

    /// Makes a task ready to be granted for `life`.
    pub(crate) fn give(&self, name: &str, parameters: &str, life: Duration) -> TaskId {
        let id: TaskId = ClaimId::random().to_string().parse().unwrap();
        let grant = Grant {
            id,
            name: name.parse().unwrap(),
            parameters: Some(domain::RawJson::parse(parameters.to_owned()).unwrap())
                .filter(|json| !json.is_null()),
            attempt: 1,
            claim: ClaimId::random(),
            remaining_ms: u64::try_from(life.as_millis()).unwrap(),
            trace: None,
        };
        self.told().ready.push_back(grant);
        self.script.more.notify_one();
        id
    }

    /// The next request to `path` goes wrong, after those that were told to before.
    pub(crate) fn fail(&self, path: &'static str, fault: Fault) {
        self.told().faults.entry(path).or_default().push_back(fault);
    }

    /// Heartbeats are answered with this from now on.
    pub(crate) fn stop(&self, held: GrantRef) {
        self.told().stop.push(held);
    }

    pub(crate) fn be_generous(&self) {
        self.told().is_generous = true;
    }

    pub(crate) fn take_no_results_longer_than(&self, bytes: usize) {
        self.told().longest = Some(bytes);
    }

    /// Every request that names `task` is answered with 500 from now on; none is with `None`.
    pub(crate) fn break_over(&self, task: Option<TaskId>) {
        self.told().poison = task;
    }

    /// How many grants are open: nothing that was reported of them has been accepted.
    pub(crate) fn open(&self) -> usize {
        self.told().open.len()
    }

    /// The most grants that were open whenever a worker asked for more.
    pub(crate) fn most_open(&self) -> usize {
        self.told().most_open
    }

    /// The next thing that it hears.
    pub(crate) async fn event(&mut self) -> Event {
        self.hear(Some).await
    }

    pub(crate) async fn registration(&mut self) -> domain::Operation {
        self.hear(|event| if let Event::Registered(operation) = event { Some(operation) } else { None }).await
    }

    pub(crate) async fn ask(&mut self) -> ClaimRequest {
        self.hear(|event| if let Event::Asked(ask) = event { Some(ask) } else { None }).await
    }

    pub(crate) async fn heartbeat_loop(&mut self) -> Heartbeat {
        self.hear(|event| if let Event::Beat(heartbeat_loop) = event { Some(heartbeat_loop) } else { None })
            .await
    }

    pub(crate) async fn reports(&mut self) -> Vec<Report> {
        self.hear(|event| if let Event::Reported(said) = event { Some(said.reports) } else { None }).await
    }

    /// The next thing that it hears of the wanted kind; the others are passed over.
    async fn hear<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        let heard = async {
            loop {
                if let Some(heard) = wanted(self.events.recv().await.expect("it listens")) {
                    return heard;
                }
            }
        };
        in_time(heard).await
    }

    /// The next reports, which are one.
    pub(crate) async fn report(&mut self) -> Report {
        let mut reports = self.reports().await;
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.remove(0)
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.script.state.lock().unwrap()
    }
}

impl Script {
    fn heard(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// What goes wrong with this request: an answer at once, or a cut after `done`.
    async fn answer<F: Future<Output = Response>>(&self, path: &'static str, done: F) -> Response {
        let fault = self.state.lock().unwrap().faults.get_mut(path).and_then(VecDeque::pop_front);
        match fault {
            None => done.await,
            Some(Fault::Unavailable) => problem(503),
            Some(Fault::Problem(status)) => problem(status),
            Some(Fault::Wait(until)) => {
                let _ = until.await;
                done.await
            }
            Some(Fault::Cut) => {
                done.await;
                let cut = io::Error::other("cut");
                Body::from_stream(stream::iter([Ok(Bytes::from("{")), Err(cut)])).into_response()
            }
        }
    }

    /// The grants of `ask`: those it had before, or new ones as soon as there are any.
    async fn grants(&self, ask: &ClaimRequest) -> ClaimResponse {
        let arrived = Instant::now();
        let until = arrived + Duration::from_millis(ask.wait_ms);
        loop {
            let tasks = self.granted(ask);
            let wait = tokio::time::timeout_at(until.into(), self.more.notified());
            if !tasks.is_empty() || wait.await.is_err() {
                let held_ms = u64::try_from(arrived.elapsed().as_millis()).unwrap();
                return ClaimResponse { held_ms, tasks };
            }
        }
    }

    fn granted(&self, ask: &ClaimRequest) -> Vec<Grant> {
        let mut guard = self.state.lock().unwrap();
        let told = &mut *guard;
        if let Some(before) = told.claims.get(&ask.claim) {
            return before.clone();
        }
        let ClaimTarget::Pull { slots, types, .. } = &ask.wanted else { panic!("these workers pull") };
        assert!(*slots > 0 && !types.is_empty(), "an ask wants something");
        told.most_open = told.most_open.max(told.open.len());
        let wanted = if told.is_generous { usize::MAX } else { usize::try_from(*slots).unwrap() };
        let count = wanted.min(told.ready.len());
        let tasks: Vec<_> =
            told.ready.drain(..count).map(|grant| Grant { claim: ask.claim, ..grant }).collect();
        if !tasks.is_empty() {
            told.open.extend(tasks.iter().map(|grant| grant.id));
            told.claims.insert(ask.claim, tasks.clone());
        }
        tasks
    }
}

async fn registered(State(script): State<Arc<Script>>, body: Bytes) -> Response {
    script.heard(Event::Registered(read(&body)));
    script.answer(CATALOGUE, async { StatusCode::CREATED.into_response() }).await
}

async fn asked(State(script): State<Arc<Script>>, body: Bytes) -> Response {
    let ask: ClaimRequest = read(&body);
    script.heard(Event::Asked(ask.clone()));
    script.answer(ASKS, async { Json(script.grants(&ask).await).into_response() }).await
}

async fn reported(State(script): State<Arc<Script>>, body: Bytes) -> Response {
    let reports: Reports = read(&body);
    let settled: Vec<SettleResult> = reports.reports.iter().map(became).collect();
    let ids: Vec<TaskId> = reports.reports.iter().map(|report| report.id).collect();
    let longest = reports.reports.iter().map(length).max().unwrap_or(0);
    script.heard(Event::Reported(reports));
    let (limit, poison) = {
        let told = script.state.lock().unwrap();
        (told.longest, told.poison)
    };
    if limit.is_some_and(|limit| longest > limit) {
        return problem(413);
    }
    if poison.is_some_and(|poison| ids.contains(&poison)) {
        return problem(500);
    }
    script
        .answer(RESULTS, async {
            script.state.lock().unwrap().open.retain(|id| !ids.contains(id));
            Json(settled).into_response()
        })
        .await
}

fn length(report: &Report) -> usize {
    match &report.reported {
        ReportOutcome::Result(result) => result.text().len(),
        ReportOutcome::Error(_) | ReportOutcome::Released => 0,
    }
}

fn became(report: &Report) -> SettleResult {
    match report.reported {
        ReportOutcome::Result(_) => SettleResult::Finished,
        ReportOutcome::Error(_) => SettleResult::Cancelled { reason: domain::Reason::OperationFailed },
        ReportOutcome::Released => SettleResult::Released,
    }
}

async fn heartbeat_loop(State(script): State<Arc<Script>>, body: Bytes) -> Response {
    script.heard(Event::Beat(read(&body)));
    let stop = script.state.lock().unwrap().stop.clone();
    script.answer(HEARTBEATS, async { Json(HeartbeatResponse { stop }).into_response() }).await
}

async fn token(State(script): State<Arc<Script>>, uri: Uri) -> Response {
    let answer = script.answer(TOKENS, async {
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

fn problem(status: u16) -> Response {
    let body =
        serde_json::to_vec(&Problem::new(status, "scripted", "As told", "the test wants it so")).unwrap();
    let headers = [(header::CONTENT_TYPE, Problem::MEDIA_TYPE)];
    (StatusCode::from_u16(status).unwrap(), headers, body).into_response()
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).expect("the worker speaks the domain's types")
}
