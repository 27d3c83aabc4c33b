//! The load: loops of submit, claim and settle; a task counts when the store has accepted its result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::{
    AttemptOutcome, ClaimId, Grant, InstanceId, RawJson, Report, SettleResult, SubjectId, Submission,
    WorkerProcess,
};
use store::{AttributedReport, ClaimById, Granted, PullRequest, Store};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cases::{Case, ClaimBy};
use crate::host_usage::Usage;
use crate::sample_task::{sample_submission, task_type};
use crate::setup::Setup;

/// The figures of one window of time.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Finished tasks per second.
    pub(crate) per_second: f64,
    /// CPU time of all processes of the database server, in microseconds per task; `None` for SQLite, which runs in this
    /// process.
    pub(crate) server_cpu: Option<f64>,
    /// CPU time of this process (the store and the load), in microseconds per task.
    pub(crate) own_cpu: f64,
    /// Bytes of write-ahead log per task.
    pub(crate) wal: f64,
    /// The share of the machine's CPU time that other processes used, 0 to 1.
    pub(crate) foreign: f64,
}

/// Runs the case's loops and takes a sample over each of `windows`.
pub(crate) async fn run(setup: &Setup, case: &Case, warm_up: Duration, windows: &[Duration]) -> Vec<Sample> {
    let (stop, finished) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut loops = JoinSet::new();
    for number in 0..case.writers {
        let writer = Writer::new(&setup.store, case, number);
        let (stop, finished) = (stop.clone(), finished.clone());
        loops.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                finished.fetch_add(writer.round().await, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(warm_up).await;
    let mut samples = Vec::new();
    let mut before = Counters::take(setup, &finished).await;
    for window in windows {
        tokio::time::sleep(*window).await;
        let after = Counters::take(setup, &finished).await;
        samples.push(before.until(&after));
        before = after;
    }
    stop.store(true, Ordering::Relaxed);
    loops.join_all().await;
    samples
}

/// The counters at one moment.
struct Counters {
    at: Instant,
    finished: u64,
    wal: u64,
    usage: Usage,
}

impl Counters {
    async fn take(setup: &Setup, finished: &AtomicU64) -> Self {
        let wal = setup.wal().await;
        let usage = Usage::now(setup.postmaster);
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

/// One loop: what a Backend and its workers do, one after the other.
struct Writer {
    store: Store,
    claim_by: ClaimBy,
    batch: usize,
    worker: WorkerProcess,
}

impl Writer {
    fn new(store: &Store, case: &Case, number: usize) -> Self {
        let name = format!("bench-{number}").parse().unwrap();
        let (subject, instance) = (SubjectId(Uuid::nil()), InstanceId::random());
        let worker = WorkerProcess { name, subject, instance };
        Self { store: store.clone(), claim_by: case.claim_by, batch: case.batch, worker }
    }

    /// Takes a batch from submission to result; returns how many tasks finished.
    async fn round(&self) -> u64 {
        let tasks: Vec<Submission> = (0..self.batch).map(|_| sample_submission(&self.store)).collect();
        self.store.submit(&tasks).await.unwrap();
        let granted = self.claim(&tasks).await;
        let reports = granted.iter().map(|Granted { grant, worker }| AttributedReport {
            worker: worker.clone(),
            subject: Some(self.worker.subject),
            report: report(grant),
        });
        let reports: Vec<AttributedReport> = reports.collect();
        let settled = self.store.settle(&reports).await.unwrap();
        settled.into_iter().map(|settled| u64::from(settled == SettleResult::Finished)).sum()
    }

    async fn claim(&self, tasks: &[Submission]) -> Vec<Granted> {
        match self.claim_by {
            ClaimBy::Id => {
                let claim = |task: &Submission| ClaimById {
                    id: task.id,
                    claim: ClaimId::random(),
                    worker: self.worker.clone(),
                    by_name: false,
                };
                self.store.claim_by_id(&tasks.iter().map(claim).collect::<Vec<_>>()).await.unwrap()
            }
            ClaimBy::Type => {
                let slots = u32::try_from(self.batch).unwrap();
                let request = PullRequest {
                    claim: ClaimId::random(),
                    worker: self.worker.clone(),
                    slots,
                    is_first_look: true,
                };
                self.store.claim_by_type(&[request], &[task_type()], Duration::ZERO).await.unwrap().granted
            }
        }
    }
}

fn report(grant: &Grant) -> Report {
    let result = RawJson::parse("{\"length\":123456789}".to_owned()).unwrap();
    Report {
        id: grant.id,
        type_name: grant.type_name.clone(),
        attempt: grant.attempt,
        claim: grant.claim,
        reported: AttemptOutcome::Result(result),
        retry: None,
        trace: None,
    }
}
