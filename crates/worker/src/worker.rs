//! A worker from start to stop: registers its operations, sends heartbeats, runs tasks in its slots, and drains.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Role};
use client::Client;
use domain::{InstallationId, InstanceId, QueueName};
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
use crate::claiming::ticket_consumer::{TICKET_PREFETCH, TicketConsumer};
use crate::error::WorkerError;
use crate::execution::executor::TaskExecutor;
use crate::execution::running_tasks::RunningTasks;
use crate::execution::slots::Slots;
use crate::execution::stopped_work::StoppedWork;
use crate::heartbeat::HeartbeatSender;
use crate::metrics;
use crate::operation_registration::register_operations;
use crate::registry::operations::Operations;
use crate::reporting::progress_reporter::ProgressReporter;
use crate::reporting::reporter::Reporter;
use crate::reporting::unconfirmed_results::UnconfirmedResults;
use crate::settings::Settings;

/// How long an operation that was stopped may take to reach its next await, or its processes to end after their grace.
const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a stopping worker may take to leave the consumer groups of its queues.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs operations for whoever submits tasks.
pub struct Worker {
    client: Client,
    operations: Arc<Operations>,
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
    pub fn new(client: Client, operations: Operations, settings: Settings) -> Self {
        Self {
            client,
            operations: Arc::new(operations),
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
    /// without losing a task; never waits for Kafka. Fails if the Backend refuses an operation for good, or if the heartbeat
    /// or the subscriptions cannot be created.
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
        let sender = self.heartbeat_sender(instance, grants, unconfirmed, installation, outage_log.clone());
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
            operations: Arc::clone(&self.operations),
            running,
            stopped,
            reports: reporter.queue.clone(),
            progress: progress_reporter.queue.clone(),
            tracker: TaskTracker::new(),
            release: CancellationToken::new(),
        });
        let _release_on_drop = executor.release.clone().drop_guard();
        let kafka = KafkaTasks::new();
        let claim_client = ClaimClient {
            client: self.client.clone(),
            worker: name.clone(),
            instance,
            types: self.operations.types(),
            outage_log,
            stop,
        };
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
        outage_log: BackendOutageLog,
    ) -> HeartbeatSender {
        HeartbeatSender {
            client: self.client.clone(),
            worker: self.settings.name.clone(),
            instance,
            slots: self.settings.slots.get(),
            types: self.operations.types(),
            interval: self.settings.heartbeat,
            running,
            stopped,
            unconfirmed,
            installation,
            outage_log,
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
        let queues: BTreeSet<QueueName> =
            self.operations.specifications().map(|operation| operation.queue.clone()).collect();
        let backlog = Arc::new(TicketBacklog::new(broker.clone(), queues.iter().cloned().collect()));
        let consumers = TaskTracker::new();
        for queue in queues {
            let (subscription, consume_loop) = broker.tickets(installation, &queue, TICKET_PREFETCH)?;
            kafka.tracker.spawn(consume_loop.run());
            let (slots, backlog) = (Arc::clone(&slots), Arc::clone(&backlog));
            consumers.spawn(TicketConsumer::new(slots, claim_client.clone(), subscription, backlog).run());
        }
        kafka.tracker.spawn(broker.clone().manage_topics(Role::Worker, kafka.stop.clone()));
        long_poll::steal_loop(slots, claim_client, backlog, self.settings.steal_after).await;
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
        let abort_timeout = ABORT_TIMEOUT + self.operations.longest_grace();
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
