//! The upgrade that the book describes, under load: the processes are replaced one by one, no accepted task is lost, and a
//! submission is refused for a moment at most (G1, G17, G18).

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::{Status, TaskId};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::json;
use tokio::task::JoinSet;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::command::{run, tasker_command};
use crate::kit::history_audit::assert_counts_balance;
use crate::kit::wait_until::wait_until;

/// The number of concurrent submissions.
const SUBMITTERS: usize = 8;

/// What the submitters share with the test.
#[derive(Debug, Default)]
struct LoadState {
    accepted: AtomicUsize,
    is_over: AtomicBool,
}

impl LoadState {
    /// Waits until `count` more tasks have been accepted.
    async fn wait_for_more(&self, count: usize) {
        let target = self.accepted.load(Ordering::Relaxed) + count;
        let is_reached = async || self.accepted.load(Ordering::Relaxed) >= target;
        wait_until("submissions are accepted", is_reached).await;
    }
}

/// Submits until the load is over, to the next Backend whenever one cannot be reached.
async fn submit_tasks(clients: Vec<ApiClient>, mut index: usize, load: Arc<LoadState>) -> Vec<TaskId> {
    let mut accepted = Vec::new();
    while !load.is_over.load(Ordering::Relaxed) {
        match clients[index % clients.len()].try_submit("SLEEP", json!({"ms": 20}), 60_000).await {
            Ok(response) if response.status() == StatusCode::CREATED => {
                accepted.push(response.json().await.unwrap());
                load.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(response) => {
                assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
                assert!(response.headers().contains_key(RETRY_AFTER), "a refusal says when to try again");
            }
            Err(_) => index += 1,
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_replaced_one_by_one_under_load_lose_and_refuse_nothing() {
    let config = ClusterConfig { backends: 2, workers: 2, slots: 32, ..ClusterConfig::default() };
    let mut cluster = Cluster::start_with(config).await;
    let mut clients = vec![ApiClient::register(&cluster.urls_of_backend(0), "ann").await];
    clients.push(ApiClient::sign_in(&cluster.urls_of_backend(1), "ann").await);
    let load = Arc::new(LoadState::default());
    let mut submitters = JoinSet::new();
    for index in 0..SUBMITTERS {
        submitters.spawn(submit_tasks(clients.clone(), index, load.clone()));
    }
    load.wait_for_more(100).await;

    let database = format!("database.url={}", cluster.database().url);
    let migration = run(&mut tasker_command(cluster.home(), ["migrate", "--set", &database]));
    assert_eq!(migration.code, 0, "{}", migration.stderr);
    cluster.restart_one_by_one();
    load.wait_for_more(100).await;

    load.is_over.store(true, Ordering::Relaxed);
    let accepted = submitters.join_all().await.concat();
    for &id in &accepted {
        assert_eq!(clients[0].wait_until_ended(id).await.status, Status::Finished);
    }
    // Exactly those tasks exist whose submission was answered: no answer was lost either.
    let count = accepted.len() as u64;
    assert_counts_balance(&cluster.database().url, count, Some(count)).await;
    cluster.stop();
}
