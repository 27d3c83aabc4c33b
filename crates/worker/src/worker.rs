//! The worker's life: register, show that it lives, take work for every free slot, and leave politely.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Role};
use client::Client;
use domain::{QueueName, WorkerName};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::claiming::claim_client::ClaimClient;
use crate::claiming::long_poll;
use crate::claiming::ticket_backlog::TicketBacklog;
use crate::claiming::ticket_consumer::{TICKET_PREFETCH, TicketConsumer};
use crate::execution::executor::TaskExecutor;
use crate::execution::running_tasks::Running;
use crate::execution::slots::Slots;
use crate::heartbeat::HeartbeatSender;
use crate::metrics;
use crate::outage_log::BackendOutageLog;
use crate::registration::{WorkerError, register};
use crate::reporting::reporter::Reporter;
use crate::reporting::unconfirmed_results::UnconfirmedResults;
use crate::sdk::registry::Operations;

/// How much a worker does, and how it leaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it calls itself.
    pub name: WorkerName,
    /// How many tasks it runs at once.
    pub slots: NonZeroU32,
    /// How long a slot rests after a task.
    pub delay_between_tasks: Duration,
    /// Beside Kafka, what has waited for so long elsewhere is taken over when a slot is free; `None`: never.
    pub steal_after: Option<Duration>,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// How long a stopping worker lets its tasks run.
    pub drain: Duration,
}

impl Settings {
    /// The usual ones, for a worker called `name`.
    pub fn named(name: WorkerName) -> Self {
        Self {
            name,
            slots: NonZeroU32::new(8).expect("8 is not 0"),
            delay_between_tasks: Duration::ZERO,
            steal_after: Some(Duration::from_millis(300)),
            heartbeat: Duration::from_secs(2),
            drain: Duration::from_secs(30),
        }
    }
}

/// Runs operations for whoever submits tasks.
pub struct Worker {
    client: Client,
    operations: Arc<Operations>,
    settings: Settings,
    broker: Option<Broker>,
}

/// How long an operation that is being stopped may take to reach its next await.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// How long a stopping worker may take to leave the groups of its queues.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

impl Worker {
    /// A worker; nothing happens before [`Worker::run`]. It pulls its work and reports over HTTP.
    pub fn new(client: Client, operations: Operations, settings: Settings) -> Self {
        Self { client, operations: Arc::new(operations), settings, broker: None }
    }

    /// The same worker, which hears of its work and reports over Kafka.
    #[must_use]
    pub fn over(mut self, broker: Broker) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Runs until `stop` is cancelled. It waits for Identity and the Backend as long as it takes, and loses none of its
    /// work when they go and come back; Kafka is never waited for. It fails only if the Backend refuses an operation for
    /// good.
    ///
    /// After `stop` it takes nothing new, lets what runs end within `drain`, hands the rest back, and returns a few seconds
    /// later at most.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let name = &self.settings.name;
        let link = BackendOutageLog::new(name.clone());
        if !register(&self.client, &self.operations, &link, &stop).await? {
            return Ok(());
        }
        let running = Running::default();
        let reporter = Reporter::start(self.client.clone(), name.clone(), link.clone(), self.broker.clone());
        let mut pulse = self.heart(running.clone(), reporter.unconfirmed.clone(), link.clone()).start()?;
        if stop.run_until_cancelled(pulse.first()).await.is_none() {
            pulse.stop().await;
            return Ok(());
        }
        metrics::slots(self.settings.slots.get());
        info!(worker.name = %name, "worker {name} takes tasks, {} at once", self.settings.slots);
        let executor = Arc::new(TaskExecutor {
            worker: name.clone(),
            operations: Arc::clone(&self.operations),
            running,
            reports: reporter.reports.clone(),
            tracker: TaskTracker::new(),
            release: CancellationToken::new(),
        });
        // Whoever drops this future instead of cancelling `stop` leaves nothing running either.
        let gone = CancellationToken::new();
        let _gone = (executor.release.clone().drop_guard(), gone.clone().drop_guard());
        let kafka = TaskTracker::new();
        self.take(&executor, link, &stop, (&kafka, &gone)).await?;
        self.drain(&executor).await;
        reporter.flush(name).await;
        gone.cancel();
        kafka.close();
        if timeout(LEAVE_LIMIT, kafka.wait()).await.is_err() {
            warn!(worker.name = %name, "worker {name} leaves before Kafka has taken notice");
        }
        pulse.stop().await;
        info!(worker.name = %name, "worker {name} has stopped");
        Ok(())
    }

    fn heart(
        &self,
        running: Running,
        unconfirmed: Option<UnconfirmedResults>,
        link: BackendOutageLog,
    ) -> HeartbeatSender {
        HeartbeatSender {
            client: self.client.clone(),
            worker: self.settings.name.clone(),
            slots: self.settings.slots.get(),
            types: self.operations.types(),
            period: self.settings.heartbeat,
            running,
            unconfirmed,
            link,
        }
    }

    /// Takes work until `stop`: by pull, or by ticket and by pull. What must outlive that for Kafka runs among `kafka`
    /// until `gone`.
    async fn take(
        &self,
        executor: &Arc<TaskExecutor>,
        link: BackendOutageLog,
        stop: &CancellationToken,
        (kafka, gone): (&TaskTracker, &CancellationToken),
    ) -> Result<(), WorkerError> {
        let slots = Arc::new(Slots {
            executor: Arc::clone(executor),
            slots: Arc::new(Semaphore::new(self.slots())),
            size: self.slots(),
            delay: self.settings.delay_between_tasks,
            stop: stop.clone(),
        });
        let (client, worker, types) =
            (self.client.clone(), self.settings.name.clone(), self.operations.types());
        let claim_client = ClaimClient { client, worker, types, link, stop: stop.clone() };
        let Some(broker) = &self.broker else {
            long_poll::pull_loop(slots, claim_client).await;
            return Ok(());
        };
        let queues: BTreeSet<QueueName> =
            self.operations.specifications().map(|operation| operation.queue.clone()).collect();
        let backlog = Arc::new(TicketBacklog::of(broker.clone(), queues.iter().cloned().collect()));
        let takers = TaskTracker::new();
        for queue in queues {
            let (feed, pump) = broker.tickets(&queue, TICKET_PREFETCH)?;
            kafka.spawn(pump.run());
            let (slots, claim_client, backlog) =
                (Arc::clone(&slots), claim_client.clone(), Arc::clone(&backlog));
            takers.spawn(TicketConsumer { slots, claim_client, backlog, feed }.run());
        }
        kafka.spawn(broker.clone().manage_topics(Role::Worker, gone.clone()));
        long_poll::steal_loop(slots, claim_client, backlog, self.settings.steal_after).await;
        // What they have just been granted is put to work, or back.
        takers.close();
        takers.wait().await;
        Ok(())
    }

    fn slots(&self) -> usize {
        usize::try_from(self.settings.slots.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
    }

    /// Lets what runs end, for a while; then stops it and hands it back.
    async fn drain(&self, executor: &TaskExecutor) {
        let (name, drain) = (&self.settings.name, self.settings.drain);
        let running = executor.running.count();
        info!(worker.name = %name, "worker {name} stops; {running} tasks may end within {drain:.1?}");
        executor.tracker.close();
        if timeout(drain, executor.tracker.wait()).await.is_ok() {
            return;
        }
        executor.release.cancel();
        if timeout(ABORT_LIMIT, executor.tracker.wait()).await.is_err() {
            // Not handed back: it would run twice at once. The sweep ends them.
            let deaf = executor.running.count();
            warn!(worker.name = %name, "worker {name} leaves {deaf} tasks that do not stop to their deadlines");
        }
    }
}
