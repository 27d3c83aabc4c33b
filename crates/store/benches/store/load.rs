//! The load: loops of submit, claim and settle, counted by the results that the store has accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::{
    ClaimId, Grant, OwnerId, RawJson, Report, ReportOutcome, SettleResult, Submission, Ttl, TypeName,
    WorkerName,
};
use store::{ClaimById, Granted, PullRequest, Store};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::case::{Case, Way};
use crate::ground::Ground;
use crate::host::Usage;

/// What a window of time showed.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// All processes of the database server, in microseconds a task; `None` where it lives in ours.
    pub(crate) server_cpu: Option<f64>,
    /// Our own process: the store's code and the load together.
    pub(crate) own_cpu: f64,
    pub(crate) wal: f64,
    /// What everybody else took of the machine, 0 to 1.
    pub(crate) foreign: f64,
}

/// Runs the case's loops and looks at the ends of each of `windows`.
pub(crate) async fn run(
    ground: &Ground,
    case: &Case,
    warm_up: Duration,
    windows: &[Duration],
) -> Vec<Sample> {
    let (stop, finished) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut loops = JoinSet::new();
    for number in 0..case.writers {
        let writer = Writer::new(&ground.store, case, number);
        let (stop, finished) = (stop.clone(), finished.clone());
        loops.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                finished.fetch_add(writer.round().await, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(warm_up).await;
    let mut samples = Vec::new();
    let mut before = Look::take(ground, &finished).await;
    for window in windows {
        tokio::time::sleep(*window).await;
        let after = Look::take(ground, &finished).await;
        samples.push(before.until(&after));
        before = after;
    }
    stop.store(true, Ordering::Relaxed);
    loops.join_all().await;
    samples
}

/// Where everything stands at one moment.
struct Look {
    at: Instant,
    finished: u64,
    wal: u64,
    usage: Usage,
}

impl Look {
    async fn take(ground: &Ground, finished: &AtomicU64) -> Self {
        let wal = ground.wal().await;
        let usage = Usage::now(ground.postmaster);
        Self { at: Instant::now(), finished: finished.load(Ordering::Relaxed), wal, usage }
    }

    #[expect(clippy::cast_precision_loss, reason = "these are numbers to read")]
    fn until(&self, after: &Self) -> Sample {
        let seconds = (after.at - self.at).as_secs_f64();
        let tasks = (after.finished - self.finished).max(1) as f64;
        let used = after.usage.since(&self.usage);
        Sample {
            per_second: tasks / seconds,
            server_cpu: used.server.map(|server| server * 1e6 / tasks),
            own_cpu: used.own * 1e6 / tasks,
            wal: (after.wal - self.wal) as f64 / tasks,
            foreign: used.foreign,
        }
    }
}

/// One loop: a Backend's pipelines and its workers in one.
struct Writer {
    store: Store,
    way: Way,
    batch: usize,
    worker: WorkerName,
}

impl Writer {
    fn new(store: &Store, case: &Case, number: usize) -> Self {
        let worker = format!("bench-{number}").parse().unwrap();
        Self { store: store.clone(), way: case.way, batch: case.batch, worker }
    }

    /// A batch from submission to result; answers how many tasks finished.
    async fn round(&self) -> u64 {
        let tasks: Vec<Submission> = (0..self.batch).map(|_| submission(&self.store)).collect();
        self.store.submit(&tasks).await.unwrap();
        let granted = self.claim(&tasks).await;
        let reports: Vec<Report> = granted.iter().map(|granted| report(&granted.grant)).collect();
        let settled = self.store.settle(&reports).await.unwrap();
        settled.into_iter().map(|settled| u64::from(settled == SettleResult::Finished)).sum()
    }

    async fn claim(&self, tasks: &[Submission]) -> Vec<Granted> {
        match self.way {
            Way::ById => {
                let ask = |task: &Submission| ClaimById {
                    id: task.id,
                    claim: ClaimId::random(),
                    worker: self.worker.clone(),
                    by_name: false,
                };
                self.store.claim_by_id(&tasks.iter().map(ask).collect::<Vec<_>>()).await.unwrap()
            }
            Way::ByPull => {
                let slots = u32::try_from(self.batch).unwrap();
                let puller =
                    PullRequest { claim: ClaimId::random(), worker: self.worker.clone(), slots, new: true };
                self.store.claim_by_type(&[puller], &[kind()], Duration::ZERO).await.unwrap().granted
            }
        }
    }
}

pub(crate) fn kind() -> TypeName {
    "bench.noop".parse().unwrap()
}

/// 120 bytes of parameters; a life that outlasts the measurement.
pub(crate) fn submission(store: &Store) -> Submission {
    Submission {
        id: store.new_task_id(),
        owner: OwnerId(Uuid::from_u128(1)),
        name: kind(),
        queue: "default".parse().unwrap(),
        parameters: Some(RawJson::parse(format!("{{\"text\":\"{}\"}}", "x".repeat(109))).unwrap()),
        ttl: Ttl::try_from(3_600_000).unwrap(),
        start_within: Ttl::DEFAULT_MAX,
        trace: None,
    }
}

fn report(grant: &Grant) -> Report {
    let result = RawJson::parse("{\"length\":123456789}".to_owned()).unwrap();
    Report {
        id: grant.id,
        attempt: grant.attempt,
        claim: grant.claim,
        reported: ReportOutcome::Result(result),
        trace: None,
    }
}
