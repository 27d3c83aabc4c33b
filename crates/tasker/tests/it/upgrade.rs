//! The upgrade of the book, under load: every process is replaced by another, one after the other. Nothing that was accepted
//! is lost, and nobody is refused but for a moment (G1, G17, G18).

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::{Status, TaskId};
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use serde_json::json;
use tokio::task::JoinSet;

use crate::kit::cluster::{Cluster, Plan};
use crate::kit::history_audit::books_balance;
use crate::kit::person::Person;
use crate::kit::process::{run, tasker};
use crate::kit::until::until;

/// How many submit at once.
const SUBMITTERS: usize = 8;

/// What the submitters share.
#[derive(Debug, Default)]
struct Course {
    accepted: AtomicUsize,
    is_over: AtomicBool,
}

impl Course {
    /// Waits until so many more have been accepted.
    async fn goes_on(&self, more: usize) {
        let wanted = self.accepted.load(Ordering::Relaxed) + more;
        until("tasks are accepted", async || self.accepted.load(Ordering::Relaxed) >= wanted).await;
    }
}

/// Submits until it is over, at the other Backend whenever one cannot be reached.
async fn submits(people: Vec<Person>, mut at: usize, course: Arc<Course>) -> Vec<TaskId> {
    let mut accepted = Vec::new();
    while !course.is_over.load(Ordering::Relaxed) {
        match people[at % people.len()].try_submit("SLEEP", json!({"ms": 20}), 60_000).await {
            Ok(answer) if answer.status() == StatusCode::CREATED => {
                accepted.push(answer.json().await.unwrap());
                course.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
                assert!(answer.headers().contains_key(RETRY_AFTER), "it says when to come back");
            }
            Err(_) => at += 1,
        }
    }
    accepted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_replaced_one_by_one_under_load_lose_and_refuse_nothing() {
    let mut cluster = Cluster::of(Plan { backends: 2, workers: 2, slots: 32, ..Plan::default() }).await;
    let mut people = vec![Person::register(&cluster.addresses(), "ann").await];
    people.push(Person::sign_in(&cluster.addresses_of(1), "ann").await);
    let course = Arc::new(Course::default());
    let mut submitters = JoinSet::new();
    for at in 0..SUBMITTERS {
        submitters.spawn(submits(people.clone(), at, course.clone()));
    }
    course.goes_on(100).await;

    let database = format!("database.url={}", cluster.database().url);
    let migrated = run(&mut tasker(cluster.home(), ["migrate", "--set", &database]));
    assert_eq!(migrated.code, 0, "{}", migrated.err);
    cluster.replace_one_by_one();
    course.goes_on(100).await;

    course.is_over.store(true, Ordering::Relaxed);
    let accepted = submitters.join_all().await.concat();
    for &id in &accepted {
        assert_eq!(people[0].ended(id).await.status, Status::Finished);
    }
    // As many as were told so: no answer was lost on the way either.
    let count = accepted.len() as u64;
    books_balance(&cluster.database().url, count, Some(count)).await;
    cluster.stop();
}
