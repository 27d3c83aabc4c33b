//! SIGKILL in the middle of the work: nothing that was accepted is lost, everything ends, the books balance (G1, G10, G18).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{Status, TaskId};
use serde_json::json;
use tokio_util::task::TaskTracker;

use crate::kit::cluster::Cluster;
use crate::kit::history_audit::books_balance;
use crate::kit::person::Person;
use crate::kit::process::Up;

const TASKS: usize = 1000;

const SLOTS: [&str; 1] = ["worker.slots=64"];

/// Submits until [`TASKS`] have been accepted.
async fn submits(ann: Person, halfway: Arc<AtomicBool>) -> Vec<TaskId> {
    let mut accepted = Vec::new();
    while accepted.len() < TASKS {
        accepted.push(ann.accepted("SLEEP", &json!({"ms": accepted.len() % 40 * 10}), 2000).await);
        halfway.fetch_or(accepted.len() >= TASKS / 2, Ordering::Relaxed);
    }
    accepted
}

/// Waits for the end of each, and says how many finished.
async fn all_end(ann: &Person, accepted: &[TaskId]) -> usize {
    let mut finished = 0;
    for &id in accepted {
        finished += usize::from(ann.ended(id).await.status == Status::Finished);
    }
    finished
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_tasker_up_loses_nothing() {
    let up = Up::start_with(&SLOTS);
    let ann = Person::register(&up.addresses(), "ann").await;
    let mut before = Vec::new();
    while before.len() < TASKS {
        before.push(ann.submit("SLEEP", json!({"ms": before.len() % 40 * 10}), 2000).await);
    }
    let home = up.kill();

    let up = Up::start_in(home, &SLOTS);
    let ann = Person::sign_in(&up.addresses(), "ann").await;
    let finished = all_end(&ann, &before).await;
    println!("{finished} of {TASKS} tasks finished, the others were cancelled");
    assert_eq!(ann.tasks().await.tasks.len(), TASKS);
    let url = format!("sqlite:{}", up.home().join(".tasker/tasks.db").display());
    books_balance(&url, TASKS as u64, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backend_and_a_killed_worker_lose_nothing() {
    let mut cluster = Cluster::start(2, 64).await;
    let ann = Person::register(&cluster.addresses(), "ann").await;
    let halfway = Arc::new(AtomicBool::new(false));
    let submitting = TaskTracker::new().spawn(submits(ann.clone(), halfway.clone()));
    while !halfway.load(Ordering::Relaxed) {
        tokio::task::yield_now().await;
    }
    cluster.kill_worker();
    cluster.kill_backend();
    let accepted = submitting.await.unwrap();
    let finished = all_end(&ann, &accepted).await;
    println!("{finished} of {TASKS} tasks finished, the others were cancelled");
    assert!(finished > 0);
    books_balance(&cluster.database().url, TASKS as u64, None).await;
    cluster.stop();
}
