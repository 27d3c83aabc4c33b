//! SIGKILL in the middle of the work: nothing that was accepted is lost, everything ends, the books balance (G1, G10, G18).

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::{Status, TaskId};
use reqwest::StatusCode;
use serde_json::json;
use store::{Clock, Db, Store};
use tokio_util::task::TaskTracker;

use crate::cluster::Cluster;
use crate::person::Person;
use crate::process::Up;

const TASKS: usize = 1000;

const SLOTS: [&str; 1] = ["worker.slots=64"];

/// Submits until [`TASKS`] have been accepted; a submission that meets a dead server counts for nothing.
async fn submits(ann: Person, halfway: Arc<AtomicBool>) -> Vec<TaskId> {
    let mut accepted = Vec::new();
    while accepted.len() < TASKS {
        let parameters = json!({"ms": accepted.len() % 40 * 10});
        match ann.try_submit("SLEEP", parameters, 2000).await {
            Ok(answer) if answer.status() == StatusCode::CREATED => match answer.json().await {
                Ok(id) => accepted.push(id),
                Err(_) => continue,
            },
            _ => tokio::task::yield_now().await,
        }
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

async fn books_balance(url: &str, at_least: usize) {
    let store = Store::new(Db::open(url).unwrap(), Clock::System);
    let counts = store.counts().await.unwrap();
    store.close().await;
    assert!(counts.balance(), "{counts:?}");
    assert_eq!((counts.created, counts.running), (0, 0), "{counts:?}");
    assert!(counts.accepted >= u64::try_from(at_least).unwrap(), "{counts:?}");
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
    books_balance(&url, TASKS).await;
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
    books_balance(&cluster.database().url, TASKS).await;
    cluster.stop();
}
