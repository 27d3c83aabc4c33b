//! A worker from start to stop: registers its operations, sends heartbeats, runs tasks in its slots, and drains.

use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Role};
use client::Client;
use domain::{InstallationId, InstanceId};
use supervisor::SupervisorProgram;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::backend_outage_log::BackendOutageLog;
use crate::claiming::claim_client::ClaimClient;
use crate::claiming::long_poll;
use crate::claiming::ticket_backlog::TicketBacklog;
use crate::claiming::ticket_consumers::TicketConsumers;
use crate::error::WorkerError;
use crate::execution::blocked_operations::watch_operations;
use crate::execution::executor::TaskExecutor;
use crate::execution::operation_threads::OperationThreads;
use crate::execution::run::ABORT_TIMEOUT;
use crate::execution::running_tasks::RunningTasks;
use crate::execution::slots::Slots;
use crate::execution::stopped_work::StoppedWork;
use crate::heartbeat::HeartbeatSender;
use crate::metrics;
use crate::operation_registration::register_operations;
use crate::operation_updates::OperationUpdates;
use crate::registry::active_operations::ActiveOperations;
use crate::registry::operations::Operations;
use crate::reporting::progress_reporter::ProgressReporter;
use crate::reporting::reporter::Reporter;
use crate::reporting::unconfirmed_results::UnconfirmedResults;
use crate::settings::Settings;

/// How long operations that were stopped may take to end, and their processes after their grace.
const STOP_TIMEOUT: Duration = ABORT_TIMEOUT.saturating_add(Duration::from_millis(500));

/// How long a stopping worker may take to leave the consumer groups of its queues.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs operations for whoever submits tasks.
pub struct Worker {
    client: Client,
    operations: Arc<Operations>,
    updates: Option<watch::Receiver<Arc<Operations>>>,
    settings: Settings,
    broker: Option<Broker>,
    release_now: CancellationToken,
    on_ready: ReadyNotice,
    on_drain: DrainNotice,
}

/// Called when a worker begins to take tasks.
type ReadyNotice = Box<dyn Fn() + Send + Sync>;

/// Called when a worker begins to stop, with the number of running tasks and the drain time.
type DrainNotice = Box<dyn Fn(usize, Duration) + Send + Sync>;

/// The tasks that serve Kafka: they run until the reports are flushed, which is after the claiming of tasks has ended.
struct KafkaTasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Worker {
    /// A worker that pulls its tasks and reports over HTTP. Nothing happens before [`Worker::run`].
    pub fn new(client: Client, operations: impl Into<Arc<Operations>>, settings: Settings) -> Self {
        Self {
            client,
            operations: operations.into(),
            updates: None,
            settings,
            broker: None,
            release_now: CancellationToken::new(),
            on_ready: Box::new(|| {}),
            on_drain: Box::new(|_, _| {}),
        }
    }

    /// The same worker, which after its stop releases the tasks that still run as soon as `release_now` is cancelled, and not
    /// only after `drain`.
    #[must_use]
    pub fn with_release_now(mut self, release_now: CancellationToken) -> Self {
        self.release_now = release_now;
        self
    }

    /// The same worker, whose operations are replaced whenever `updates` has a new value: it registers them, claims tasks of their types
    /// from then on, and ends what it has begun with the operations of before. A set that the Backend refuses is logged and not taken.
    #[must_use]
    pub fn with_updates(mut self, updates: watch::Receiver<Arc<Operations>>) -> Self {
        self.updates = Some(updates);
        self
    }

    /// The same worker, which calls `notice` when it begins to take tasks: its operations are registered then.
    #[must_use]
    pub fn with_ready_notice(mut self, notice: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_ready = Box::new(notice);
        self
    }

    /// The same worker, which calls `notice` when it begins to stop, with the number of tasks that run and the time that they
    /// are given. It is not called if none runs.
    #[must_use]
    pub fn with_drain_notice(mut self, notice: impl Fn(usize, Duration) + Send + Sync + 'static) -> Self {
        self.on_drain = Box::new(notice);
        self
    }

    /// The same worker, which also gets tasks by tickets over Kafka and reports over Kafka.
    #[must_use]
    pub fn with_kafka(mut self, broker: Broker) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Runs until `stop` is cancelled. Waits for Identity and the Backend as long as it takes, and survives their outages
    /// without losing a task; never waits for Kafka. Fails if the Backend refuses an operation for good, or if the heartbeat,
    /// the threads of operations or the subscriptions cannot be created.
    ///
    /// After `stop` it claims nothing new, lets running tasks end within `drain`, releases the rest, and returns a few
    /// seconds later at most. Dropping the future stops everything at once instead: nothing is reported or released, and
    /// the Backend ends the tasks by their deadlines or because the heartbeats have ceased.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        if SupervisorProgram::is_role_ignored() {
            return Err(WorkerError::RoleIgnored);
        }
        // Background tasks are not aborted when this future is dropped: they end by this token.
        let stop = stop.child_token();
        let _stop_on_drop = stop.clone().drop_guard();
        let name = &self.settings.name;
        let outage_log = BackendOutageLog::new(name.clone());
        if !register_operations(&self.client, &self.operations, &outage_log, &stop).await? {
            return Ok(());
        }
        self.operations.prepare_supervision();
        let instance = InstanceId::random();
        let (running, stopped) = (RunningTasks::default(), StoppedWork::default());
        let (client, broker) = (self.client.clone(), self.broker.clone());
        let installation = watch::Sender::default();
        let progress_reporter = ProgressReporter::start(self.client.clone(), name.clone());
        let (accepted, patience) = (installation.subscribe(), self.settings.heartbeat);
        let reporter = Reporter::start(client, name.clone(), outage_log.clone(), broker, accepted, patience);
        let (unconfirmed, grants) = (reporter.unconfirmed.clone(), (running.clone(), stopped.clone()));
        let operations = ActiveOperations::new(Arc::clone(&self.operations));
        let parts = (operations.clone(), outage_log.clone());
        let sender = self.heartbeat_sender(instance, grants, unconfirmed, installation, parts);
        let mut heartbeat = sender.start()?;
        let Some(installation) = stop.run_until_cancelled(heartbeat.first_accepted()).await.flatten() else {
            heartbeat.stop().await;
            return Ok(());
        };
        self.operations.specifications().for_each(|operation| metrics::start_counters(&operation.name));
        metrics::start_worker(self.settings.slots.get());
        info!(worker.name = %name, "worker {name} takes tasks, {} at once", self.settings.slots);
        (self.on_ready)();
        let executor = Arc::new(TaskExecutor {
            worker: name.clone(),
            operations: operations.clone(),
            threads: Arc::new(OperationThreads::start().map_err(WorkerError::OperationThreads)?),
            running,
            stopped,
            reports: reporter.queue.clone(),
            progress: progress_reporter.queue.clone(),
            tracker: TaskTracker::new(),
            release: CancellationToken::new(),
        });
        let _release_on_drop = executor.release.clone().drop_guard();
        let kafka = KafkaTasks::new();
        let client = self.client.clone();
        let claim_client =
            ClaimClient { client, worker: name.clone(), instance, operations, outage_log, stop };
        self.watch(&executor, &claim_client);
        self.claim_tasks(&executor, claim_client, installation, &kafka).await?;
        self.drain(&executor).await;
        reporter.flush(name).await;
        if kafka.stop().await.is_err() {
            warn!(worker.name = %name, "worker {name} stops before it has left the consumer groups of its queues");
        }
        heartbeat.stop().await;
        info!(worker.name = %name, "worker {name} has stopped");
        Ok(())
    }

    fn heartbeat_sender(
        &self,
        instance: InstanceId,
        (running, stopped): (RunningTasks, StoppedWork),
        unconfirmed: Option<UnconfirmedResults>,
        installation: watch::Sender<Option<InstallationId>>,
        (operations, outage_log): (ActiveOperations, BackendOutageLog),
    ) -> HeartbeatSender {
        HeartbeatSender {
            client: self.client.clone(),
            worker: self.settings.name.clone(),
            instance,
            slots: self.settings.slots.get(),
            operations,
            interval: self.settings.heartbeat,
            running,
            stopped,
            unconfirmed,
            installation,
            outage_log,
        }
    }

    /// Starts what looks for blocked operations and what replaces the operations, until the worker stops.
    fn watch(&self, executor: &TaskExecutor, claim_client: &ClaimClient) {
        let ClaimClient { operations, outage_log, stop, .. } = claim_client.clone();
        let watch = watch_operations(executor.running.clone(), Arc::clone(&executor.threads));
        let until_stopped = executor.release.clone();
        let background = TaskTracker::new();
        background.spawn(async move { until_stopped.run_until_cancelled(watch).await });
        if let Some(updates) = self.updates.clone() {
            let (client, worker) = (self.client.clone(), self.settings.name.clone());
            let updates = OperationUpdates { updates, client, worker, operations, outage_log, stop };
            background.spawn(updates.apply());
        }
    }

    /// Claims tasks until the worker stops: by pull, and with Kafka by tickets too.
    async fn claim_tasks(
        &self,
        executor: &Arc<TaskExecutor>,
        claim_client: ClaimClient,
        installation: InstallationId,
        kafka: &KafkaTasks,
    ) -> Result<(), WorkerError> {
        let Settings { slots, delay_between_tasks, .. } = self.settings;
        let stop = claim_client.stop.clone();
        let slots = Arc::new(Slots::new(Arc::clone(executor), slots.get(), delay_between_tasks, stop));
        let Some(broker) = &self.broker else {
            long_poll::pull_loop(slots, claim_client).await;
            return Ok(());
        };
        let operations = claim_client.operations.clone();
        let backlog = Arc::new(TicketBacklog::new(broker.clone(), operations));
        let consumers = TaskTracker::new();
        let ticket_consumers = TicketConsumers {
            broker: broker.clone(),
            installation,
            slots: Arc::clone(&slots),
            claim_client: claim_client.clone(),
            backlog: Arc::clone(&backlog),
            consumers: consumers.clone(),
            consume_loops: kafka.tracker.clone(),
        };
        let by_queue = ticket_consumers.start()?;
        let follow = ticket_consumers.follow_operations(by_queue);
        kafka.tracker.spawn(broker.clone().manage_topics(Role::Worker, kafka.stop.clone()));
        let steal = long_poll::steal_loop(slots, claim_client, backlog, self.settings.steal_after);
        tokio::join!(steal, follow);
        // A consumer ends after it has dispatched or released what it was granted last.
        consumers.close();
        consumers.wait().await;
        Ok(())
    }

    /// Lets running tasks end, for `drain` at most; then stops and releases them.
    async fn drain(&self, executor: &TaskExecutor) {
        let (name, drain) = (&self.settings.name, self.settings.drain);
        let running = executor.running.count();
        info!(worker.name = %name, "worker {name} stops; {running} tasks may end within {drain:.1?}");
        if running > 0 {
            (self.on_drain)(running, drain);
        }
        executor.tracker.close();
        let end = timeout(drain, executor.tracker.wait());
        if let Some(Ok(())) = self.release_now.run_until_cancelled(end).await {
            return;
        }
        executor.release.cancel();
        let abort_timeout = STOP_TIMEOUT + executor.operations.current().longest_grace();
        if timeout(abort_timeout, executor.tracker.wait()).await.is_err() {
            // These tasks are not released: another worker would run them a second time. The Backend ends them.
            let running = executor.running.count();
            warn!(worker.name = %name, "worker {name} stops, but {running} operations did not; their tasks end at their deadlines");
        }
    }
}

impl KafkaTasks {
    fn new() -> Self {
        let stop = CancellationToken::new();
        Self { tracker: TaskTracker::new(), _stop_on_drop: stop.clone().drop_guard(), stop }
    }

    /// Stops the tasks and waits for them, for [`LEAVE_TIMEOUT`] at most.
    async fn stop(self) -> Result<(), tokio::time::error::Elapsed> {
        self.stop.cancel();
        self.tracker.close();
        timeout(LEAVE_TIMEOUT, self.tracker.wait()).await
    }
}
