//! Priorities over Kafka: tasks of a high priority overtake a backlog whose tickets are before theirs.

use domain::{Task, Timestamp};
use serde_json::json;
use testkit::kafka_address;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};

/// The tasks of the backlog. One slot runs them for ten seconds.
const BACKLOG: usize = 200;

/// As many as a topic has partitions, so that some tickets are at the end of one.
const URGENT: usize = 12;

async fn submit(client: &ApiClient, number: usize, priority: u8) -> Task {
    let body = json!({"type": "SLEEP", "parameters": {"ms": 50}, "ttl": 60_000, "priority": priority});
    let id = client.submit_body_with_key_until_accepted(&format!("{priority}-{number}"), &body).await;
    client.read_task(id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_tasks_overtake_a_backlog_over_kafka() {
    let (kafka, settings) = (Some(kafka_address()), vec!["log.level=info,broker=debug".to_owned()]);
    let config =
        ClusterConfig { backends: 1, workers: 1, slots: 1, kafka, settings, ..ClusterConfig::default() };
    let mut cluster = Cluster::start_with(config).await;
    cluster.wait_until_workers_consume_tickets();
    let client = ApiClient::register(&cluster.urls(), "ann").await;
    let (mut backlog, mut urgent) = (Vec::new(), Vec::new());
    for number in 0..BACKLOG {
        backlog.push(submit(&client, number, 4).await);
    }
    for number in 0..URGENT {
        urgent.push(submit(&client, number, 9).await);
    }
    let start = async |task: Task| client.wait_until_ended(task.id).await.start_date.expect("it has run");
    let (mut starts, mut last_urgent) = (Vec::new(), Timestamp(0));
    for task in urgent {
        last_urgent = last_urgent.max(start(task).await);
    }
    for task in backlog {
        starts.push(start(task).await);
    }
    let later = starts.iter().filter(|start| **start > last_urgent).count();
    assert!(later > BACKLOG / 4, "only {later} of {BACKLOG} tasks have started after the urgent ones");
    cluster.stop();
}
