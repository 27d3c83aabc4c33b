//! How long after their deadlines tasks are ended: a thousand tasks whose operation does not end by itself (G8).

use domain::{Reason, Status};
use serde_json::json;

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;

const TASKS: usize = 1000;

/// The period of the Backend's check for overdue tasks, in milliseconds. An hour: no check is made during this test after that
/// of the start, so that the timers of the deadlines alone can have ended a task.
const CHECK_PERIOD_MS: i64 = 3_600_000;

/// The figures that are printed depend on the machine. The bound follows from what the test does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_that_do_not_end_by_themselves_are_ended_by_the_timers_of_their_deadlines() {
    let check_period = format!("backend.check_period_ms={CHECK_PERIOD_MS}");
    let up = TaskerUp::start_with(&["worker.slots=1000", &check_period]);
    let client = ApiClient::register(&up.urls(), "ann").await;
    let mut submitted = Vec::new();
    for number in 0..TASKS {
        let ttl_ms = 50 + u64::try_from(number * 450 / TASKS).unwrap();
        submitted.push(client.submit("SLEEP", json!({"ms": 3_600_000}), ttl_ms).await);
    }
    let mut delays_ms = Vec::new();
    for id in submitted {
        let task = client.wait_until_ended(id).await;
        assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::TtlExpired)), "{task:?}");
        let delay_us = task.end_date.unwrap().micros_since(task.deadline.unwrap());
        assert!(delay_us >= 0, "a task was ended before its deadline: {task:?}");
        delays_ms.push(delay_us / 1000);
    }
    delays_ms.sort_unstable();
    let permille = |share: usize| delays_ms[(TASKS - 1) * share / 1000];
    let (p50, p99, max) = (permille(500), permille(990), permille(1000));
    println!("end after the deadline, ms: p50 {p50} p99 {p99} max {max}");
    assert!(p99 < CHECK_PERIOD_MS, "the tasks were ended by the periodic check: {p99} ms");
}
