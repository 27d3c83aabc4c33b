//! Sends heartbeats from a thread and connections of their own, so that no load on the worker can delay them: one periodically,
//! and one that the Backend holds until a task must stop.

use std::future::pending;
use std::thread;
use std::time::Duration;

use client::{Backoff, Client, ClientError};
use domain::problem_types::workers::WORKER_NAME_TAKEN;
use domain::{GrantRef, Heartbeat, InstallationId, InstanceId, WorkerName};
use telemetry::error_chain;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use crate::backend_outage_log::{BackendOutageLog, BackendRequestKind};
use crate::error::WorkerError;
use crate::execution::running_tasks::RunningTasks;
use crate::execution::stopped_work::StoppedWork;
use crate::registry::active_operations::ActiveOperations;
use crate::reporting::unconfirmed_results::UnconfirmedResults;

/// How long a heartbeat waits for its response before the next one is tried.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest interval between two heartbeats, however many results are to be asked about.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The shortest interval before a heartbeat that says that work has stopped: the date of the stop is that of this heartbeat.
const SHORTEST_INTERVAL_BEFORE_STOPS: Duration = Duration::from_millis(20);

/// How long the Backend holds a heartbeat that stops nothing.
const HELD: Duration = Duration::from_millis(HELD_MS);

/// The same in milliseconds.
const HELD_MS: u64 = 20_000;

/// The shortest pause between two held heartbeats if the first stopped nothing: a Backend that cannot hold one, or another heartbeat
/// of this worker, must not be flooded.
const HELD_PAUSE: Duration = Duration::from_millis(100);

/// The heartbeat's thread. Names of threads are cut after 15 bytes.
const THREAD_NAME: &str = "heartbeat";

/// What heartbeats carry, and how often one is sent.
pub(crate) struct HeartbeatSender {
    pub(crate) client: Client,
    pub(crate) worker: WorkerName,
    pub(crate) instance: InstanceId,
    pub(crate) slots: u32,
    pub(crate) operations: ActiveOperations,
    /// The interval between heartbeats.
    pub(crate) interval: Duration,
    pub(crate) running: RunningTasks,
    /// What has stopped without a report: a heartbeat says so at once.
    pub(crate) stopped: StoppedWork,
    /// With Kafka: the results whose tasks are named as running until a response says that they have ended.
    pub(crate) unconfirmed: Option<UnconfirmedResults>,
    /// Set to the installation that the worker belongs to when a heartbeat is accepted.
    pub(crate) installation: watch::Sender<Option<InstallationId>>,
    pub(crate) outage_log: BackendOutageLog,
}

/// The running heartbeat. Dropping it stops the heartbeat.
pub(crate) struct HeartbeatHandle {
    installation: watch::Receiver<Option<InstallationId>>,
    stop: DropGuard,
}

impl HeartbeatSender {
    /// Starts the thread that sends heartbeats. Fails if the thread or its HTTP client cannot be created.
    pub(crate) fn start(mut self) -> Result<HeartbeatHandle, WorkerError> {
        self.client = self.client.with_own_connections().map_err(WorkerError::HeartbeatClient)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(WorkerError::HeartbeatThread)?;
        let stop = CancellationToken::new();
        let installation = self.installation.subscribe();
        let stopped = stop.clone();
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let loops = async { tokio::join!(self.heartbeat_loop(), self.held_loop()) };
                    stopped.run_until_cancelled(loops).await;
                    if self.installation.borrow().is_some() {
                        self.send_last().await;
                    }
                });
            })
            .map_err(WorkerError::HeartbeatThread)?;
        Ok(HeartbeatHandle { installation, stop: stop.drop_guard() })
    }

    async fn heartbeat_loop(&self) {
        let mut backoff = Backoff::default();
        let mut backend = self.client.current_backend().to_owned();
        loop {
            let sent = Instant::now();
            // Store which unconfirmed results this heartbeat asked about: its response says nothing about results that were
            // added after it was sent.
            let running = self.running.grants();
            let asked = self.unconfirmed.as_ref().map(UnconfirmedResults::grants).unwrap_or_default();
            let stopped = self.stopped.grants();
            let heartbeat = self.heartbeat([running.as_slice(), asked.as_slice()].concat());
            let heartbeat = Heartbeat { stopped, ..heartbeat };
            match self.client.heartbeat(&heartbeat, RESPONSE_TIMEOUT).await {
                Ok(response) => {
                    self.apply(sent, &response.stop, &asked);
                    self.stopped.remove(&heartbeat.stopped);
                    backoff.reset();
                    self.outage_log.record_success(BackendRequestKind::Heartbeat);
                    self.log_failover(&mut backend);
                    self.installation.send_replace(Some(response.installation));
                    self.pause().await;
                }
                Err(error) => {
                    // If another process has the name, this one was lost, and its tasks have ended.
                    let stop = if is_name_taken(&error) { running } else { Vec::new() };
                    self.apply(sent, &stop, &asked);
                    self.outage_log.record_failure(BackendRequestKind::Heartbeat, &error);
                    sleep(backoff.pause_after(&error).min(self.interval)).await;
                }
            }
        }
    }

    /// Waits until the next heartbeat is due: after the interval, or sooner if it must ask about an unconfirmed result, or say that work
    /// has stopped.
    async fn pause(&self) {
        let must_ask = async {
            sleep(SHORTEST_INTERVAL).await;
            match &self.unconfirmed {
                Some(unconfirmed) => unconfirmed.must_ask().await,
                None => pending().await,
            }
        };
        let has_stopped = async {
            sleep(SHORTEST_INTERVAL_BEFORE_STOPS).await;
            self.stopped.added().await;
        };
        tokio::select! {
            () = sleep(self.interval) => {}
            () = must_ask => {}
            () = has_stopped => {}
        }
    }

    /// Logs that the worker uses another Backend than before.
    fn log_failover(&self, before: &mut String) {
        let (worker, now) = (&self.worker, self.client.current_backend());
        if *before != now {
            warn!(worker.name = %worker, "the Backend {before} is gone, and worker {worker} goes on at {now}");
            now.clone_into(before);
        }
    }

    /// Keeps one heartbeat held at the Backend, once the name is this worker's, so that a task stops as soon as the Backend says
    /// so. What it misses, the next periodic heartbeat finds.
    async fn held_loop(&self) {
        let mut backoff = Backoff::default();
        // The sender lives as long as this loop.
        let _ = self.installation.subscribe().wait_for(Option::is_some).await;
        loop {
            let sent = Instant::now();
            let heartbeat = Heartbeat { wait_ms: HELD_MS, ..self.heartbeat(self.running.unstopped_grants()) };
            let pause = match self.client.heartbeat(&heartbeat, HELD + RESPONSE_TIMEOUT).await {
                Ok(response) => {
                    self.apply(sent, &response.stop, &[]);
                    backoff.reset();
                    self.outage_log.record_success(BackendRequestKind::HeldHeartbeat);
                    let has_waited = !response.stop.is_empty() || sent.elapsed() > HELD_PAUSE;
                    if has_waited { Duration::ZERO } else { HELD_PAUSE }
                }
                Err(error) => {
                    if is_name_taken(&error) {
                        self.apply(sent, &heartbeat.running, &[]);
                    }
                    self.outage_log.record_failure(BackendRequestKind::HeldHeartbeat, &error);
                    backoff.pause_after(&error)
                }
            };
            sleep(pause).await;
        }
    }

    /// Frees the worker's name, in one attempt: if it fails, the name is free once the worker is lost.
    async fn send_last(&self) {
        let stopped = self.stopped.grants();
        let heartbeat = Heartbeat { stopped, last: true, ..self.heartbeat(self.running.grants()) };
        if let Err(error) = self.client.heartbeat(&heartbeat, RESPONSE_TIMEOUT).await {
            tracing::debug!(worker.name = %self.worker, error = %error_chain(&error), "the last heartbeat was not accepted");
        }
    }

    fn heartbeat(&self, running: Vec<GrantRef>) -> Heartbeat {
        Heartbeat {
            worker: self.worker.clone(),
            instance: self.instance,
            slots: self.slots,
            types: self.operations.types(),
            stop_means: self.operations.current().stop_means(),
            running,
            stopped: Vec::new(),
            last: false,
            wait_ms: 0,
        }
    }

    /// Applies the response to a heartbeat that was sent at `sent`: stops the grants in `stop`, and updates the unconfirmed results
    /// that the heartbeat `asked` about.
    fn apply(&self, sent: Instant, stop: &[GrantRef], asked: &[GrantRef]) {
        for grant in stop {
            self.running.stop(grant);
        }
        if let Some(unconfirmed) = &self.unconfirmed {
            unconfirmed.apply_heartbeat_response(sent, asked, stop);
        }
    }
}

/// Whether the Backend refuses a heartbeat because the worker's name belongs to another process.
fn is_name_taken(error: &ClientError) -> bool {
    error.problem().is_some_and(|problem| problem.is(&WORKER_NAME_TAKEN))
}

impl HeartbeatHandle {
    /// Waits until the Backend has accepted the first heartbeat; returns the Backend's installation, or `None` if the thread has
    /// ended.
    pub(crate) async fn first_accepted(&mut self) -> Option<InstallationId> {
        self.installation.wait_for(Option::is_some).await.ok().and_then(|installation| *installation)
    }

    /// Stops the heartbeat, whose thread sends a last one, and waits until it sends no more.
    pub(crate) async fn stop(self) {
        let Self { mut installation, stop } = self;
        drop(stop);
        while installation.changed().await.is_ok() {}
    }
}
