//! SIGKILL while schedules run: each of their times has exactly one task, whichever process was killed in the middle.

use std::collections::BTreeMap;

use domain::{Schedule, TaskId, Timestamp};
use serde_json::json;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::wait_until;

/// How many schedules run, each once a second.
const SCHEDULES: usize = 10;

/// How many times a process is killed, each after another run.
const KILLS: usize = 3;

fn name(number: usize) -> String {
    format!("every-second-{number}")
}

/// Creates the schedules; the first time of each.
async fn create(client: &ApiClient) -> Vec<Timestamp> {
    let mut first_times = Vec::new();
    for number in 0..SCHEDULES {
        let task = json!({"type": "ECHO", "parameters": {"n": number}, "ttl": 60_000});
        let body = json!({"everyMs": 1000, "missed": "all", "task": task});
        first_times.push(client.put_schedule(&name(number), &body).await.next_runs[0]);
    }
    first_times
}

/// Waits until each schedule has run for a time that is later than `after`; the latest of those times.
async fn wait_for_run_after(client: &ApiClient, after: Timestamp) -> Timestamp {
    let mut latest = after;
    for number in 0..SCHEDULES {
        let last = async || Some(client.read_schedule(&name(number)).await.last_task?.scheduled_for);
        wait_until("the schedule runs", async || last().await > Some(after)).await;
        latest = latest.max(last().await.unwrap_or(after));
    }
    latest
}

/// Pauses the schedules, and asserts that each of the times of each has exactly one task, from the first to the last.
async fn assert_each_time_has_one_task(client: &ApiClient, first_times: &[Timestamp]) {
    let mut last_runs: Vec<Schedule> = Vec::new();
    for number in 0..SCHEDULES {
        last_runs.push(client.pause_schedule(&name(number)).await);
    }
    let mut tasks: BTreeMap<String, Vec<(Timestamp, TaskId)>> = BTreeMap::new();
    for task in client.list_tasks().await.tasks {
        let task = client.read_task(task.id).await;
        let (schedule, time) = task.schedule.zip(task.scheduled_for).expect("every task is of a schedule");
        tasks.entry(schedule.to_string()).or_default().push((time, task.id));
    }
    for (schedule, first) in last_runs.into_iter().zip(first_times) {
        let mut runs = tasks.remove(schedule.name.as_str()).unwrap_or_default();
        runs.sort_unstable();
        let times: Vec<Timestamp> = runs.iter().map(|(time, _)| *time).collect();
        let expected: Vec<Timestamp> = (0..runs.len())
            .map(|run| first.plus_micros(1_000_000 * i64::try_from(run).unwrap_or(0)))
            .collect();
        assert_eq!(times, expected, "{}", schedule.name);
        let last = schedule.last_task.expect("it has run");
        assert_eq!(runs.last(), Some(&(last.scheduled_for, last.id)), "{}", schedule.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backend_leaves_each_time_of_a_schedule_with_one_task() {
    let config = ClusterConfig { backends: 2, workers: 1, slots: 16, ..ClusterConfig::default() };
    let mut cluster = Cluster::start_with(config).await;
    let client = ApiClient::register(&cluster.urls_of_backend(1), "ann").await;
    let first_times = create(&client).await;
    let mut latest = Timestamp(0);
    for _ in 0..KILLS {
        latest = wait_for_run_after(&client, latest).await;
        cluster.kill_backend();
        cluster.start_backend(0);
    }
    wait_for_run_after(&client, latest).await;
    assert_each_time_has_one_task(&client, &first_times).await;
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_tasker_up_makes_up_for_each_time_that_it_has_missed() {
    let mut up = TaskerUp::start();
    let mut client = ApiClient::register(&up.urls(), "ann").await;
    let first_times = create(&client).await;
    let mut latest = Timestamp(0);
    for _ in 0..KILLS {
        latest = wait_for_run_after(&client, latest).await;
        up = TaskerUp::start_in(up.kill(), &[]);
        client = ApiClient::sign_in(&up.urls(), "ann").await;
    }
    wait_for_run_after(&client, latest).await;
    assert_each_time_has_one_task(&client, &first_times).await;
}
