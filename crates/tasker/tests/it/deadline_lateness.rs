//! How late a verdict is: a thousand tasks whose operation never ends by itself (G8). Prints the figures, asserts the rule.

use domain::{Reason, Status, Task};
use serde_json::json;

use crate::kit::person::Person;
use crate::kit::process::Up;

const TASKS: usize = 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_that_never_end_are_ended_at_their_deadlines() {
    let up = Up::start_with(&["worker.slots=1000"]);
    let ann = Person::register(&up.addresses(), "ann").await;
    let mut submitted = Vec::new();
    for n in 0..TASKS {
        let ttl = 50 + u64::try_from(n * 450 / TASKS).unwrap();
        submitted.push(ann.submit("SLEEP", json!({"ms": 3_600_000}), ttl).await);
    }
    let mut late = Vec::new();
    for id in submitted {
        let task: Task = ann.ended(id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::TtlExpired)), "{task:?}");
        let lateness = task.end_date.unwrap().micros_since(task.deadline.unwrap());
        assert!(lateness >= 0, "{task:?}");
        late.push(lateness / 1000);
    }
    late.sort_unstable();
    let at = |share: usize| late[(TASKS - 1) * share / 1000];
    println!("lateness of the verdict, ms: p50 {} p99 {} max {}", at(500), at(990), at(1000));
}
