//! A worker with Kafka: what it claims and declines by tickets, and that an aborted worker leaves its consumer groups.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Role, Ticket};
use domain::limits::MAX_MIN_AGE_MS;
use domain::{ClaimId, ClaimRequest, ClaimTarget, DeclinedTask, Priority, Pull, QueueName, TaskId};
use testkit::{kafka_address, unique_prefix};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use worker::{Context, Failure, Operation, Operations, Worker, builtin};

use crate::kit::probe_operation::{LONG_TTL, NoParameters, RunningWorker, settings};
use crate::kit::scripted_backend::{Backend, INSTALLATION, in_time};

/// A Backend's side of Kafka, with topics and groups that no other test uses.
struct Topics {
    broker: Broker,
    settings: broker::Settings,
    _stop: DropGuard,
}

impl Topics {
    /// Creates the topics and waits until they can be used.
    async fn create() -> Self {
        let settings = broker::Settings {
            topic_prefix: unique_prefix(),
            partitions: 3,
            ..broker::Settings::new(&kafka_address())
        };
        let broker = Broker::open(settings.clone()).unwrap();
        broker.declare_queues([&QueueName::default(), &Far::QUEUE.parse().unwrap()]);
        let stop = CancellationToken::new();
        TaskTracker::new().spawn(broker.clone().manage_topics(Role::Backend, stop.clone()));
        let topics = Self { broker, settings, _stop: stop.drop_guard() };
        in_time(async {
            let mut checks = tokio::time::interval(Duration::from_millis(20));
            while !topics.broker.degraded_reasons().is_empty() {
                checks.tick().await;
            }
        })
        .await;
        topics
    }

    /// A worker's broker for the same topics.
    fn worker_broker(&self) -> Broker {
        Broker::open(self.settings.clone()).unwrap()
    }

    /// Publishes the ticket of a task.
    fn publish(&self, id: TaskId, name: &str) {
        self.publish_with_priority(id, name, Priority::DEFAULT);
    }

    fn publish_with_priority(&self, id: TaskId, name: &str, priority: Priority) {
        self.publish_to(&QueueName::default(), id, name, priority);
    }

    fn publish_to(&self, queue: &QueueName, id: TaskId, name: &str, priority: Priority) {
        let ticket =
            Ticket { id, type_name: name.parse().unwrap(), attempt: 1, priority, installation: INSTALLATION };
        assert!(self.broker.publish_ticket(queue, &ticket, None, None));
    }
}

fn new_id() -> TaskId {
    TaskId(ClaimId::random().0)
}

/// A worker that gets `ECHO` tasks by tickets, and never steals.
fn echo_worker(backend: &Backend, topics: &Topics) -> Worker {
    let settings = worker::Settings { steal_after: None, ..settings(4) };
    Worker::new(backend.client(), Operations::new().with(builtin::Echo), settings)
        .with_kafka(topics.worker_broker())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_is_claimed_by_id_or_declined_with_its_type() {
    let mut backend = Backend::start();
    let topics = Topics::create().await;
    let stop = CancellationToken::new();
    let worker = TaskTracker::new().spawn(echo_worker(&backend, &topics).run(stop.clone()));
    let (echo, foreign) = (backend.add_task("ECHO", "[]", LONG_TTL), new_id());
    topics.publish(echo, "ECHO");
    topics.publish(foreign, "FOREIGN");
    let (mut claimed, mut declined) = (Vec::new(), Vec::new());
    while claimed.is_empty() || declined.is_empty() {
        let request = backend.claim_request().await;
        declined.extend(request.declined);
        if let ClaimTarget::Ids(ids) = request.wanted {
            claimed.extend(ids);
        }
    }
    // The steal loop may have pulled the task before Kafka was available; its ticket is claimed all the same.
    assert_eq!(claimed, [echo]);
    assert_eq!(declined, [DeclinedTask { id: foreign, type_name: "FOREIGN".parse().unwrap() }]);
    stop.cancel();
    in_time(worker).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_more_tickets_than_free_slots_a_worker_asks_for_urgent_tasks_and_claims_the_highest_priorities()
{
    let mut backend = Backend::start();
    let topics = Topics::create().await;
    let stop = CancellationToken::new();
    let worker = TaskTracker::new().spawn(echo_worker(&backend, &topics).run(stop.clone()));
    let (mut priorities, mut claimed, mut has_pulled) = (HashMap::new(), Vec::new(), false);
    // Of 300 tickets of each kind some arrive together, however Kafka divides them into messages.
    while !has_pulled || claimed.len() < priorities.len() {
        if claimed.len() == priorities.len() {
            for priority in [0, 9].repeat(300) {
                let (id, priority) = (new_id(), Priority::try_from(priority).unwrap());
                priorities.insert(id, priority);
                topics.publish_with_priority(id, "ECHO", priority);
            }
        }
        match backend.claim_request().await.wanted {
            ClaimTarget::Ids(ids) => {
                let of_request: Vec<Priority> = ids.iter().map(|id| priorities[id]).collect();
                assert!(of_request.is_sorted_by(|before, after| before >= after), "{of_request:?}");
                claimed.extend(ids);
            }
            ClaimTarget::Pull(Pull { slots, min_age_ms, .. }) => {
                has_pulled |= min_age_ms == MAX_MIN_AGE_MS;
                assert!((1..=4).contains(&slots));
            }
        }
    }
    stop.cancel();
    in_time(worker).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_run_is_aborted_consumes_no_more_tickets() {
    let mut backend = Backend::start();
    let topics = Topics::create().await;
    let worker = TaskTracker::new().spawn(echo_worker(&backend, &topics).run(CancellationToken::new()));
    topics.publish(new_id(), "FOREIGN");
    while backend.claim_request().await.declined.is_empty() {}
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());

    // With the worker gone, the next member of the group is assigned all partitions.
    let published: HashSet<TaskId> = (0..30).map(|_| new_id()).collect();
    for id in &published {
        topics.publish(*id, "FOREIGN");
    }
    let (mut subscription, consume_loop) =
        topics.broker.tickets(INSTALLATION, &QueueName::default(), published.len()).unwrap();
    let consuming = TaskTracker::new();
    consuming.spawn(consume_loop.run());
    let mut received = HashSet::new();
    while !published.is_subset(&received) {
        let delivery = in_time(subscription.next()).await.unwrap();
        received.insert(delivery.message.id);
        subscription.ack(delivery.position);
    }
    drop(subscription);
    consuming.close();
    in_time(consuming.wait()).await;
}

/// The operation `FAR`, whose tasks have a queue of their own.
struct Far;

impl Operation for Far {
    const TYPE: &'static str = "FAR";
    const QUEUE: &'static str = "far";
    type Params = NoParameters;
    type Output = ();

    async fn run(&self, _: NoParameters, _: Context) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_operations_are_replaced_consumes_the_tickets_of_their_queues() {
    let mut backend = Backend::start();
    let topics = Topics::create().await;
    let far: QueueName = Far::QUEUE.parse().unwrap();
    let (updates, receiver) = watch::channel(Arc::default());
    let stop = CancellationToken::new();
    let worker = echo_worker(&backend, &topics).with_updates(receiver);
    let worker = RunningWorker { worker: TaskTracker::new().spawn(worker.run(stop.clone())), stop };
    let first = new_id();
    topics.publish(first, "ECHO");
    while !claimed_ids(&backend.claim_request().await).contains(&first) {}

    updates.send(Arc::new(Operations::new().with(Far))).unwrap();
    let second = new_id();
    topics.publish_to(&far, second, "FAR", Priority::DEFAULT);
    while !claimed_ids(&backend.claim_request().await).contains(&second) {}
    worker.stopped().await;
}

/// The tasks that a claim asks for by their tickets.
fn claimed_ids(claim: &ClaimRequest) -> Vec<TaskId> {
    match &claim.wanted {
        ClaimTarget::Ids(ids) => ids.clone(),
        ClaimTarget::Pull(_) => Vec::new(),
    }
}
