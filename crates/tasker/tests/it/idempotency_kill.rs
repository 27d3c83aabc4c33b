//! SIGKILL of a Backend under submissions with keys: each key makes exactly one task, however often its submission is sent (G2, G18).

use std::collections::HashSet;

use domain::TaskId;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::history_audit::assert_counts_balance;

const KEYS: usize = 1500;

/// The number of concurrent submissions. Each is sent to both Backends, so that two of them race for each key.
const SUBMITTERS: usize = 16;

const TTL_MS: u64 = 60_000;

/// Submits a task for each key at both Backends at once, each time until it is accepted, and counts them.
async fn submit_all(clients: [ApiClient; 2], counter: watch::Sender<usize>) -> Vec<TaskId> {
    let mut submitters = JoinSet::new();
    for first in 0..SUBMITTERS {
        let (clients, counter) = (clients.clone(), counter.clone());
        submitters.spawn(async move {
            let mut ids = Vec::new();
            for number in (first..KEYS).step_by(SUBMITTERS) {
                let (key, parameters) = (format!("key-{number}"), json!({ "n": number }));
                let submit = |client: ApiClient| {
                    let (key, parameters) = (key.clone(), parameters.clone());
                    async move { client.submit_with_key_until_accepted(&key, "ECHO", &parameters, TTL_MS).await }
                };
                let [one, other] = clients.clone();
                let (one, other) = tokio::join!(submit(one), submit(other));
                assert_eq!(one, other, "one key, one task");
                ids.push(one);
                counter.send_modify(|count| *count += 1);
            }
            ids
        });
    }
    submitters.join_all().await.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_killed_under_load_makes_one_task_of_each_key() {
    let config = ClusterConfig { backends: 2, workers: 1, slots: 64, ..ClusterConfig::default() };
    let mut cluster = Cluster::start_with(config).await;
    let first = ApiClient::register(&cluster.urls_of_backend(0), "ann").await;
    let second = ApiClient::sign_in(&cluster.urls_of_backend(1), "ann").await;
    let (counter, mut count) = watch::channel(0);
    let submitting = TaskTracker::new().spawn(submit_all([first.clone(), second], counter));
    for kill in 1..4 {
        count.wait_for(|accepted| *accepted >= kill * KEYS / 4).await.expect("the submissions go on");
        cluster.kill_backend();
        cluster.start_backend(0);
    }
    let ids = submitting.await.expect("every submission is accepted");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), KEYS);
    for &id in &ids {
        first.wait_until_ended(id).await;
    }
    assert_counts_balance(&cluster.database().url, KEYS as u64, Some(KEYS as u64)).await;
    cluster.stop();
}
