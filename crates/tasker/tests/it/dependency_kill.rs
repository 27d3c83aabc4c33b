//! SIGKILL of a Backend and of workers while tasks wait for others and are tried again: every chain of tasks ends, each with the results of
//! its own tasks (G1, G10, G18).

use domain::{Reason, Status, TaskId};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::history_audit::assert_counts_balance;

const CHAINS: usize = 300;

/// The number of concurrent submissions.
const SUBMITTERS: usize = 16;

/// The tasks of a chain: one, two that wait for it, and one that waits for those.
const TASKS_OF_A_CHAIN: usize = 4;

/// A chain of tasks that was accepted.
struct Chain {
    number: usize,
    tasks: [TaskId; TASKS_OF_A_CHAIN],
}

/// Whether the first task of a chain expires, so that the others are cancelled.
fn fails(chain: usize) -> bool {
    chain % 5 == 4
}

/// Submits the tasks of a chain. An attempt that is lost with its worker is made again.
async fn submit_chain(client: &ApiClient, number: usize) -> Chain {
    let submit = async |step: usize, mut body: Value| {
        body["maxAttempts"] = json!(20);
        body["retry"] = json!({"backoffMs": 10, "on": ["WORKER_LOST"]});
        client.submit_body_with_key_until_accepted(&format!("{number}-{step}"), &body).await
    };
    let first = if fails(number) {
        json!({"type": "SLEEP", "parameters": {"ms": 3_600_000}, "ttl": 100})
    } else {
        json!({"type": "ECHO", "parameters": number, "ttl": 60_000})
    };
    let first = submit(0, first).await;
    let second = json!({
        "type": "ECHO", "parameters": {"branch": 1}, "ttl": 60_000, "after": [first], "parametersFrom": {"first": first},
    });
    let second = submit(1, second).await;
    let third = json!({"type": "SLEEP", "parameters": {"ms": number % 30}, "ttl": 60_000, "after": [first]});
    let third = submit(2, third).await;
    let last = json!({
        "type": "ECHO", "ttl": 60_000, "after": [second, third], "parametersFrom": {"second": second},
    });
    Chain { number, tasks: [first, second, third, submit(3, last).await] }
}

/// Submits the chains, and counts them.
async fn submit_all(client: ApiClient, counter: watch::Sender<usize>) -> Vec<Chain> {
    let mut submitters = JoinSet::new();
    for first in 0..SUBMITTERS {
        let (client, counter) = (client.clone(), counter.clone());
        submitters.spawn(async move {
            let mut chains = Vec::new();
            for number in (first..CHAINS).step_by(SUBMITTERS) {
                chains.push(submit_chain(&client, number).await);
                counter.send_modify(|count| *count += 1);
            }
            chains
        });
    }
    submitters.join_all().await.into_iter().flatten().collect()
}

/// Waits for the end of each task of a chain, and asserts that it is the expected one.
async fn assert_expected_ends(client: &ApiClient, chain: Chain) {
    let Chain { number, tasks } = chain;
    let [first, .., last] = tasks;
    for id in tasks {
        let task = client.wait_until_ended(id).await;
        let expected = match (fails(number), id == first) {
            (false, _) => (Status::Finished, None),
            (true, true) => (Status::Cancelled, Some(Reason::TtlExpired)),
            (true, false) => (Status::Cancelled, Some(Reason::DependencyFailed)),
        };
        assert_eq!((task.status, task.reason), expected, "chain {number}, task {id}");
    }
    if !fails(number) {
        let result: Value = client.read_result(last).await.json().await.expect("a result");
        assert_eq!(result["result"], json!({"second": {"branch": 1, "first": number}}));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_backends_and_workers_leave_no_chain_of_tasks_unfinished() {
    let config = ClusterConfig {
        backends: 2,
        workers: 2,
        slots: 32,
        workers_know_all_backends: true,
        ..ClusterConfig::default()
    };
    let mut cluster = Cluster::start_with(config).await;
    let submitter = ApiClient::register(&cluster.urls(), "ann").await;
    let reader = ApiClient::sign_in(&cluster.urls_of_backend(1), "ann").await;
    let (counter, mut count) = watch::channel(0);
    let submitting = TaskTracker::new().spawn(submit_all(submitter, counter));
    for kill in 1..4 {
        count.wait_for(|accepted| *accepted >= kill * CHAINS / 4).await.expect("the submissions go on");
        cluster.kill_worker();
        cluster.kill_backend();
        cluster.start_workers(1);
        cluster.start_backend(0);
    }
    for chain in submitting.await.expect("every submission is accepted") {
        assert_expected_ends(&reader, chain).await;
    }
    let tasks = (CHAINS * TASKS_OF_A_CHAIN) as u64;
    assert_counts_balance(&cluster.database().url, tasks, Some(tasks)).await;
    cluster.stop();
}
