//! Failures of processes and of Kafka under load, in a cluster of two Backends and three workers: no accepted task is lost,
//! no grant is run twice, the counts balance, and work goes on without an operator (G1, G5, G10, G11, G16, G18).

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{HashMap, HashSet};

use domain::{Reason, Status, TaskId};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{DedicatedKafka, kafka_address};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::task::TaskTracker;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig, WORKER_CLIENT, WORKER_SECRET};
use crate::kit::history_audit::{
    assert_counts_balance, assert_each_grant_ran_once, count_grants, logged_runs, read_outcomes, rename_table,
};
use crate::kit::kafka_topics::KafkaTopics;

/// The number of concurrent submissions.
const SUBMITTERS: usize = 16;

/// The number of slots of each worker.
const SLOTS: usize = 32;

/// How a task of the mix must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpectedEnd {
    /// FINISHED: the operation is done long before the deadline.
    Finished,
    /// CANCELLED for its TTL: the operation takes an hour.
    Expired,
    /// CANCELLED on request: the test cancels it right after its submission.
    Cancelled,
}

/// A task of the mix that was accepted.
#[derive(Debug, Clone, Copy)]
struct AcceptedTask {
    /// The number of the task in the mix.
    number: usize,
    id: TaskId,
    expected: ExpectedEnd,
}

/// Two Backends and three workers, with the logs of the runs.
fn config(kafka: &str) -> ClusterConfig {
    let settings = ["log.level=info,worker=debug,broker=debug", "metrics.listen=127.0.0.1:0"];
    let (kafka, settings) = (Some(kafka.to_owned()), settings.map(str::to_owned).into());
    ClusterConfig { backends: 2, workers: 3, slots: SLOTS, kafka, settings, ..ClusterConfig::default() }
}

/// Starts a cluster to whose workers Kafka delivers tickets.
async fn start(config: ClusterConfig) -> Cluster {
    let mut cluster = Cluster::start_with(config).await;
    cluster.wait_until_workers_consume_tickets();
    cluster
}

/// The type, the parameters and the TTL (milliseconds) of a task of the mix, and how it must end.
fn mixed_task(number: usize) -> (&'static str, Value, u64, ExpectedEnd) {
    let hour = json!({ "ms": 3_600_000 });
    match number % 10 {
        0..5 => ("ECHO", json!({ "n": number }), 60_000, ExpectedEnd::Finished),
        5..8 => ("SLEEP", json!({ "ms": number % 30 }), 60_000, ExpectedEnd::Finished),
        8 if number % 50 == 8 => ("SLEEP", hour, 600_000, ExpectedEnd::Cancelled),
        8 => ("GENERATE_LOGIN", json!({ "length": 12 }), 60_000, ExpectedEnd::Finished),
        _ => ("SLEEP", hour, 100, ExpectedEnd::Expired),
    }
}

/// Submissions that go on while the test causes failures.
struct Load {
    count: watch::Receiver<usize>,
    submitting: JoinHandle<Vec<AcceptedTask>>,
}

impl Load {
    /// Begins to submit the tasks `0..to` of the mix.
    fn start(clients: &[ApiClient], to: usize) -> Self {
        let (counter, count) = watch::channel(0);
        let clients = clients.to_vec();
        let submitting =
            TaskTracker::new().spawn(async move { submit_counted(&clients, 0, to, &counter).await });
        Self { count, submitting }
    }

    /// Waits until `count` tasks have been accepted.
    async fn wait_for(&mut self, count: usize) {
        self.count.wait_for(|so_far| *so_far >= count).await.unwrap();
    }

    /// Waits until every task has been accepted.
    async fn finish(self) -> Vec<AcceptedTask> {
        self.submitting.await.unwrap()
    }
}

/// Submits the tasks `from..to` of the mix, divided among `clients`.
async fn submit(clients: &[ApiClient], from: usize, to: usize) -> Vec<AcceptedTask> {
    submit_counted(clients, from, to, &watch::Sender::new(0)).await
}

/// The same, counting what was accepted. A submission to a Backend that was killed is sent again.
async fn submit_counted(
    clients: &[ApiClient],
    from: usize,
    to: usize,
    counter: &watch::Sender<usize>,
) -> Vec<AcceptedTask> {
    let mut submitters = JoinSet::new();
    for first in 0..SUBMITTERS {
        let (clients, counter) = (clients.to_vec(), counter.clone());
        submitters.spawn(async move {
            let mut accepted = Vec::new();
            for number in (from + first..to).step_by(SUBMITTERS) {
                let (name, parameters, ttl_ms, expected) = mixed_task(number);
                let client = &clients[number % clients.len()];
                let id = client.submit_until_accepted(name, &parameters, ttl_ms).await;
                if expected == ExpectedEnd::Cancelled {
                    client.cancel_until_answered(id).await;
                }
                accepted.push(AcceptedTask { number, id, expected });
                counter.send_modify(|count| *count += 1);
            }
            accepted
        });
    }
    submitters.join_all().await.concat()
}

/// Waits for the end of each task, and asserts that it is the expected one.
async fn assert_expected_ends(client: &ApiClient, accepted: &[AcceptedTask]) {
    let lost = assert_ends(client, accepted, &[]).await;
    assert!(lost.is_empty(), "no task is lost without a reason for it: {lost:?}");
}

/// Waits for the end of each task, and asserts that it is the expected one or has one of these reasons. Returns the tasks that
/// ended for such a reason instead.
async fn assert_ends(
    client: &ApiClient,
    accepted: &[AcceptedTask],
    loss_reasons: &[Reason],
) -> HashSet<TaskId> {
    let mut lost = HashSet::new();
    for &AcceptedTask { number, id, expected } in accepted {
        let task = client.wait_until_ended(id).await;
        let expected = match expected {
            ExpectedEnd::Finished => (Status::Finished, None),
            ExpectedEnd::Expired => (Status::Cancelled, Some(Reason::TtlExpired)),
            ExpectedEnd::Cancelled => (Status::Cancelled, Some(Reason::Requested)),
        };
        let is_expected = (task.status, task.reason) == expected;
        if !is_expected && task.reason.is_some_and(|reason| loss_reasons.contains(&reason)) {
            lost.insert(id);
            continue;
        }
        assert!(is_expected, "{expected:?} was expected: {task:?}");
        if number % 100 == 0 {
            let result: Value = client.read_result(id).await.json().await.unwrap();
            assert_eq!(result["result"], json!({ "n": number }));
        }
    }
    lost
}

/// Asserts that every lost task had been granted to the worker that was killed, and that the worker did not hold more of
/// them than it has slots. A task whose run had ended there, without a settled report, was in no slot any more. Returns the
/// number of those that were in a slot.
async fn assert_lost_with(worker: &str, cluster: &mut Cluster, lost: &HashSet<TaskId>) -> usize {
    let outcomes = read_outcomes(cluster).await;
    let workers: HashMap<_, _> =
        outcomes.iter().map(|outcome| (outcome.id, outcome.worker.as_deref())).collect();
    let elsewhere: Vec<_> = lost.iter().filter(|id| workers[*id] != Some(worker)).collect();
    assert!(elsewhere.is_empty(), "tasks that other workers than {worker} have lost: {elsewhere:?}");
    let runs = logged_runs(cluster);
    let ended: HashSet<_> = runs.iter().filter(|run| run.worker == worker).map(|run| run.task).collect();
    let in_slots = lost.difference(&ended).count();
    assert!(in_slots <= SLOTS, "{in_slots} tasks were lost with a worker of {SLOTS} slots");
    in_slots
}

/// The same account at both Backends.
async fn clients(cluster: &Cluster) -> [ApiClient; 2] {
    let first = ApiClient::register(&cluster.urls_of_backend(0), "ann").await;
    let second = ApiClient::sign_in(&cluster.urls_of_backend(1), "ann").await;
    [first, second]
}

fn topics(cluster: &Cluster) -> KafkaTopics {
    KafkaTopics::new(kafka_address(), cluster.topic_prefix())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_mixed_tasks_end_as_expected_with_two_backends_and_three_workers() {
    let mut config = config(&kafka_address());
    // On a slow machine a ticket may be later than a worker without tickets asks for its task by pull.
    config.settings.push("worker.steal_after_ms=0".to_owned());
    let mut cluster = start(config).await;
    assert_eq!(cluster.process_ids().len(), 5);
    let clients = clients(&cluster).await;
    let accepted = submit(&clients, 0, 10_000).await;
    assert_expected_ends(&clients[1], &accepted).await;
    let grants = count_grants(&mut cluster).await;
    println!("{} tasks were granted by ticket, {} by long poll", grants.by_ticket, grants.by_long_poll);
    assert!(grants.by_ticket > grants.by_long_poll, "most tasks reach their worker by ticket: {grants:?}");
    assert_counts_balance(&cluster.database().url, 10_000, Some(10_000)).await;
    cluster.stop_workers_and_backends();
    assert_eq!(topics(&cluster).count_dead_letters(), 0);
    assert_each_grant_ran_once(&mut cluster).await;
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_and_a_backend_killed_under_load_lose_nothing_over_kafka() {
    let mut config = config(&kafka_address());
    // The results that the killed worker had published lie in Kafka, some in partitions of the killed Backend. The consumer group
    // hands these partitions over when the Backend's session has expired (6 s): before that the worker must not be lost.
    config.settings.push("backend.worker_lost_ms=10000".to_owned());
    let mut cluster = start(config).await;
    let clients = clients(&cluster).await;
    let mut load = Load::start(&clients, 3000);
    load.wait_for(1000).await;
    let killed = cluster.kill_worker();
    cluster.kill_backend();
    cluster.start_backend(0);
    let accepted = load.finish().await;
    let loss_reasons = [Reason::WorkerLost, Reason::TtlExpired, Reason::LateResult];
    let lost = assert_ends(&clients[1], &accepted, &loss_reasons).await;
    let in_slots = assert_lost_with(&killed, &mut cluster, &lost).await;
    println!("{} tasks were lost with {killed}, {in_slots} of them in its slots", lost.len());
    // A submission whose answer the killed Backend did not send may have made a task.
    clients[0].cancel_what_is_left().await;
    assert_counts_balance(&cluster.database().url, 3000, None).await;
    // From now on nothing is lost any more.
    let accepted = submit(&clients, 3000, 3500).await;
    assert_expected_ends(&clients[0], &accepted).await;
    cluster.stop();
    assert_each_grant_ran_once(&mut cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_may_be_down_at_the_start_and_be_killed_under_load() {
    let kafka = DedicatedKafka::start();
    kafka.kill();
    let mut cluster = Cluster::start_with(config(&kafka.address())).await;
    let clients = clients(&cluster).await;
    let accepted = submit(&clients, 0, 300).await;
    assert_expected_ends(&clients[0], &accepted).await;
    // The health report names the part that does not work.
    clients[0]
        .wait_for_health(|health| health["degraded"][0].as_str().is_some_and(|part| part.contains("Kafka")))
        .await;

    kafka.start_again();
    clients[0].wait_for_health(|health| health.get("degraded").is_none()).await;
    let mut load = Load::start(&clients, 3000);
    load.wait_for(1000).await;
    kafka.kill();
    clients[0].wait_for_health(|health| health.get("degraded").is_some()).await;
    // The rest of the load is accepted without Kafka.
    let accepted = load.finish().await;
    assert_expected_ends(&clients[1], &accepted).await;
    kafka.start_again();
    clients[1].wait_for_health(|health| health.get("degraded").is_none()).await;
    let accepted = submit(&clients, 3000, 3300).await;
    assert_expected_ends(&clients[0], &accepted).await;
    assert_counts_balance(&cluster.database().url, 3600, Some(3600)).await;
    cluster.stop();
    assert_each_grant_ran_once(&mut cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_lost_when_topics_are_emptied_or_deleted_under_load() {
    let mut cluster = start(config(&kafka_address())).await;
    let (clients, topics) = (clients(&cluster).await, topics(&cluster));
    let mut load = Load::start(&clients, 3000);
    load.wait_for(500).await;
    for _ in 0..5 {
        topics.empty().await;
    }
    load.wait_for(1500).await;
    topics.delete().await;
    let accepted = load.finish().await;
    assert_expected_ends(&clients[1], &accepted).await;
    clients[0].wait_for_health(|health| health.get("degraded").is_none()).await;
    let accepted = submit(&clients, 3000, 3300).await;
    assert_expected_ends(&clients[0], &accepted).await;
    assert_counts_balance(&cluster.database().url, 3300, Some(3300)).await;
    cluster.stop();
    assert_each_grant_ran_once(&mut cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicated_messages_and_a_replay_from_the_start_change_nothing() {
    let mut cluster = start(config(&kafka_address())).await;
    let (clients, topics) = (clients(&cluster).await, topics(&cluster));
    let accepted = submit(&clients, 0, 1000).await;
    // Once while many of the tasks wait or run, and once when all of them have ended.
    topics.duplicate_messages();
    assert_expected_ends(&clients[0], &accepted).await;
    topics.duplicate_messages();
    let before = read_outcomes(&cluster).await;

    cluster.stop_workers_and_backends();
    assert_each_grant_ran_once(&mut cluster).await;
    topics.rewind_consumer_groups().await;
    cluster.start_workers(3);
    cluster.start_backends();
    cluster.wait_until_workers_claim();
    let accepted = submit(&clients, 1000, 1300).await;
    assert_expected_ends(&clients[1], &accepted).await;
    topics.wait_until_consumed().await;
    let after = read_outcomes(&cluster).await;
    assert!(before.is_subset(&after), "an outcome was changed by the replay");
    assert_counts_balance(&cluster.database().url, 1300, Some(1300)).await;
    cluster.stop();
    assert_each_grant_ran_once(&mut cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_lost_when_workers_start_and_stop_under_load() {
    for protocol in ["classic", "consumer"] {
        let mut config = config(&kafka_address());
        (config.workers, config.slots) = (1, 16);
        config.settings.push(format!("kafka.group_protocol={protocol}"));
        let mut cluster = start(config).await;
        let clients = clients(&cluster).await;
        let mut load = Load::start(&clients, 3000);
        for step in 1..4 {
            load.wait_for(step * 700).await;
            match step {
                1 => cluster.start_workers(2),
                2 => cluster.stop_worker(),
                _ => cluster.start_workers(1),
            }
        }
        let accepted = load.finish().await;
        assert_expected_ends(&clients[1], &accepted).await;
        assert_counts_balance(&cluster.database().url, 3000, Some(3000)).await;
        cluster.stop();
        assert_each_grant_ran_once(&mut cluster).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_a_type_that_no_worker_runs_is_declined_and_blocks_no_other_ticket() {
    let mut cluster = start(config(&kafka_address())).await;
    let clients = clients(&cluster).await;
    let program = ApiClient::sign_in_as_program(&cluster.urls(), WORKER_CLIENT, WORKER_SECRET).await;
    program.register_operation("FOREIGN", "default").await;
    let foreign = clients[0].submit("FOREIGN", json!({}), 60_000).await;
    let accepted = submit(&clients, 0, 300).await;
    assert_expected_ends(&clients[1], &accepted).await;
    topics(&cluster).wait_until_consumed().await;
    assert_eq!(clients[1].read_task(foreign).await.status, Status::Created);
    assert_eq!(clients[0].cancel(foreign).await.status(), StatusCode::OK);
    cluster.stop();
}

/// A missing table is a fault of the database and not of the results, so no result becomes a dead letter.
#[tokio::test]
async fn results_that_the_database_refuses_for_a_while_are_settled_later() {
    let config = ClusterConfig { backends: 1, workers: 1, ..config(&kafka_address()) };
    let mut cluster = start(config).await;
    let client = ApiClient::register(&cluster.urls(), "ann").await;
    rename_table(&cluster, "outcome", "away").await;
    let mut accepted = Vec::new();
    for number in 0..20 {
        let id = client.submit_until_accepted("ECHO", &json!({ "n": number }), 60_000).await;
        accepted.push(AcceptedTask { number, id, expected: ExpectedEnd::Finished });
    }
    cluster.wait_for_backend_line("settling results from Kafka: failed");
    rename_table(&cluster, "away", "outcome").await;
    assert_expected_ends(&client, &accepted).await;
    assert_eq!(topics(&cluster).count_dead_letters(), 0);
    cluster.stop();
}
