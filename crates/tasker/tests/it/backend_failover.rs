//! A Backend is killed, and the workers go on at the other, which they know: tasks with a short time to live finish all the same.

use std::collections::BTreeMap;

use domain::TaskId;
use serde_json::json;
use testkit::kafka_address;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::history_audit::{assert_counts_balance, assert_each_grant_ran_once};

/// The time to live of each task: less than a consumer group needs to give the partitions of a killed member to another.
const TTL_MS: u64 = 8_000;

/// How long each task runs.
const RUN_MS: u64 = 300;

fn config(kafka: Option<String>) -> ClusterConfig {
    let settings = vec!["log.level=info,worker=debug".to_owned()];
    ClusterConfig { backends: 2, workers: 2, slots: 32, workers_know_all_backends: true, kafka, settings }
}

/// How many of `tasks` ended in each way.
async fn ends(client: &ApiClient, tasks: &[TaskId]) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::new();
    for id in tasks {
        let task = client.wait_until_ended(*id).await;
        *ends.entry(format!("{} {:?}", task.status, task.reason)).or_default() += 1;
    }
    ends
}

/// Kills the Backend that one worker uses and, with Kafka, half of the results' partitions belong to, while both workers run tasks.
async fn kill_a_backend_while_tasks_run(kafka: Option<String>) {
    let mut cluster = Cluster::start_with(config(kafka)).await;
    let client = ApiClient::register(&cluster.urls_of_backend(1), "ann").await;
    let mut tasks = Vec::new();
    for number in 0..200 {
        tasks.push(client.submit_until_accepted("SLEEP", &json!({ "ms": RUN_MS }), TTL_MS).await);
        if number == 100 {
            cluster.kill_backend();
        }
    }
    let ends = ends(&client, &tasks).await;
    assert_eq!(ends, BTreeMap::from([("FINISHED None".to_owned(), 200)]));
    assert_counts_balance(&cluster.database().url, 200, Some(200)).await;
    let moves = |cluster: &mut Cluster| {
        cluster.worker_output().iter().filter(|line| line.contains(" is gone, and worker ")).count()
    };
    assert!(moves(&mut cluster) > 0, "the worker of that Backend says that it goes on at the other");
    cluster.start_backend(0);
    cluster.stop();
    assert_each_grant_ran_once(&mut cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_lost_with_a_backend_if_its_workers_know_another() {
    kill_a_backend_while_tasks_run(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_result_that_waits_for_a_killed_backend_in_kafka_is_lost_to_its_time_to_live() {
    kill_a_backend_while_tasks_run(Some(kafka_address())).await;
}
