//! How soon the work of cancelled tasks stops: by held heartbeats alone, at two Backends, with and without Kafka (G12).

use std::collections::HashMap;

use database::ProcessClock;
use domain::{TaskId, Timestamp};
use serde_json::{Value, json};
use testkit::kafka_address;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::history_audit::read_counts;
use crate::kit::wait_until::wait_until;

const TASKS: u64 = 300;

/// The periodic heartbeat is an hour away, so that a held one alone can have stopped a task.
const SETTINGS: [&str; 3] =
    ["worker.heartbeat_ms=3600000", "backend.worker_lost_ms=14400000", "log.level=info"];

/// The instants at which workers have logged that a task was stopped since the Backend said so, in microseconds since 1970.
fn stopped(cluster: &mut Cluster) -> HashMap<TaskId, i64> {
    let stop = |line: &String| {
        let line: Value = serde_json::from_str(line).ok()?;
        line["message"]
            .as_str()
            .filter(|message| message.ends_with("was stopped because the Backend said so"))?;
        let at: Timestamp = line["timestamp"].as_str()?.parse().ok()?;
        Some((line["task.id"].as_str()?.parse().ok()?, at.0))
    };
    cluster.worker_output().iter().filter_map(stop).collect()
}

/// The figures depend on the machine; each is from the answer to the cancellation until the worker has stopped
/// the operation and written that into its log.
async fn cancel_running_tasks(kafka: Option<String>) -> String {
    let way = if kafka.is_some() { "Kafka" } else { "HTTP" };
    let settings = SETTINGS.map(str::to_owned).into();
    let config =
        ClusterConfig { backends: 2, workers: 2, slots: 200, kafka, settings, ..ClusterConfig::default() };
    let mut cluster = Cluster::start_with(config).await;
    let client = ApiClient::register(&cluster.urls(), "ann").await;
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        tasks.push(client.submit("SLEEP", json!({"ms": 3_600_000}), 3_600_000).await);
    }
    let url = cluster.database().url.clone();
    wait_until("all tasks run", async || read_counts(&url).await.running == TASKS).await;
    let mut answered = HashMap::new();
    for id in tasks {
        client.cancel(id).await;
        answered.insert(id, ProcessClock::System.now());
    }
    let cluster_cell = tokio::sync::Mutex::new(&mut cluster);
    let all_stopped = async || stopped(*cluster_cell.lock().await).len() == answered.len();
    wait_until("every worker has stopped its tasks", all_stopped).await;
    let stopped = stopped(&mut cluster);
    let mut delays_us: Vec<i64> = answered.iter().map(|(id, answered)| stopped[id] - answered).collect();
    delays_us.sort_unstable();
    let permille = |share: usize| delays_us[(delays_us.len() - 1) * share / 1000];
    let (p50, p99, max) = (permille(500), permille(990), permille(1000));
    cluster.stop();
    format!(
        "{way}: from the answer to a cancellation to the stop of the work, us: p50 {p50} p99 {p99} max {max}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_cancelled_tasks_stops_without_a_periodic_heartbeat() {
    println!("{}", cancel_running_tasks(None).await);
    println!("{}", cancel_running_tasks(Some(kafka_address())).await);
}
