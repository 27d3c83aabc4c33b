//! SIGKILL under load: no accepted task is lost, every task ends, the counts balance, and no task is cancelled but those that
//! ran at the kill (G1, G10, G18).

use domain::{Status, TaskCounts, TaskId};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::Cluster;
use crate::kit::history_audit::{assert_counts_balance, read_counts};
use crate::kit::tasker_up::TaskerUp;

const TASKS: usize = 1000;

/// The TTL of each task. Every operation ends within 0.4 s, so that none expires but in a worker that is dead.
const TTL_MS: u64 = 10_000;

const SLOTS_SETTING: [&str; 1] = ["worker.slots=64"];

/// The time that the operation of a task takes, in milliseconds: at a kill some have just begun and some are about to end.
fn operation_ms(number: usize) -> usize {
    number % 40 * 10
}

/// Submits until [`TASKS`] tasks have been accepted, and reports their number.
async fn submit_counted(client: ApiClient, counter: watch::Sender<usize>) -> Vec<TaskId> {
    let mut accepted = Vec::new();
    while accepted.len() < TASKS {
        let parameters = json!({"ms": operation_ms(accepted.len())});
        accepted.push(client.submit_until_accepted("SLEEP", &parameters, TTL_MS).await);
        counter.send_replace(accepted.len());
    }
    accepted
}

/// Waits for the end of each accepted task, and asserts that no more were cancelled than ran at the kill. Returns the number
/// of those that were cancelled.
async fn assert_ends(client: &ApiClient, accepted: &[TaskId], at_kill: &TaskCounts) -> u64 {
    let mut cancelled = 0;
    for &id in accepted {
        cancelled += u64::from(client.wait_until_ended(id).await.status != Status::Finished);
    }
    assert!(cancelled <= at_kill.running, "{cancelled} tasks were cancelled: {at_kill:?}");
    cancelled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_tasker_up_loses_nothing() {
    let up = TaskerUp::start_with(&SLOTS_SETTING);
    let client = ApiClient::register(&up.urls(), "ann").await;
    let mut accepted = Vec::new();
    while accepted.len() < TASKS {
        let parameters = json!({"ms": operation_ms(accepted.len())});
        accepted.push(client.submit("SLEEP", parameters, TTL_MS).await);
    }
    let home = up.kill();
    let database = format!("sqlite:{}", home.path().join(".tasker/tasks.db").display());
    let at_kill = read_counts(&database).await;
    assert_eq!(at_kill.accepted, TASKS as u64, "{at_kill:?}");

    let up = TaskerUp::start_in(home, &SLOTS_SETTING);
    let client = ApiClient::sign_in(&up.urls(), "ann").await;
    let cancelled = assert_ends(&client, &accepted, &at_kill).await;
    println!("{cancelled} of the {} tasks that ran at the kill were cancelled", at_kill.running);
    assert_eq!(client.list_tasks().await.tasks.len(), TASKS);
    assert_counts_balance(&database, TASKS as u64, Some(TASKS as u64)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backend_and_a_killed_worker_lose_nothing() {
    let mut cluster = Cluster::start(2, 64).await;
    let client = ApiClient::register(&cluster.urls(), "ann").await;
    let (counter, mut count) = watch::channel(0);
    let submitting = TaskTracker::new().spawn(submit_counted(client.clone(), counter));
    count.wait_for(|accepted| *accepted >= TASKS / 2).await.unwrap();
    cluster.kill_worker();
    cluster.kill_backend();
    // Nothing changes the database until a Backend runs again.
    let at_kill = read_counts(&cluster.database().url).await;
    cluster.start_backend(0);
    let accepted = submitting.await.unwrap();
    let cancelled = assert_ends(&client, &accepted, &at_kill).await;
    println!("{cancelled} of the {} tasks that ran at the kill were cancelled", at_kill.running);
    // A submission whose answer the killed Backend did not send may have made a task.
    client.cancel_what_is_left().await;
    assert_counts_balance(&cluster.database().url, TASKS as u64, None).await;
    cluster.stop();
}
