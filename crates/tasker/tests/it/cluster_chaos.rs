//! Two Backends and three workers on PostgreSQL and Kafka, and everything that may befall them: nothing that was accepted
//! is lost, nothing runs twice, the books balance, and work goes on by itself (G1, G5, G10, G11, G16, G18).

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use domain::{Reason, Status, TaskId};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::{OwnKafka, kafka_server};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::task::TaskTracker;

use crate::kit::cluster::{Cluster, Plan};
use crate::kit::history_audit;
use crate::kit::person::Person;

/// What a task of the mix must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It ends in time.
    Finishes,
    /// It would run for an hour.
    Expires,
    /// Its submitter cancels it at once.
    IsCancelled,
}

/// How many submit at once.
const SUBMITTERS: usize = 16;

fn plan(kafka: &str) -> Plan {
    let settings = vec!["log.level=info,worker=debug,broker=debug".to_owned()];
    Plan { backends: 2, workers: 3, slots: 32, kafka: Some(kafka.to_owned()), settings }
}

/// The `n`th task of the mix.
fn mixed(n: usize) -> (&'static str, Value, u64, Fate) {
    match n % 10 {
        0..5 => ("ECHO", json!({ "n": n }), 60_000, Fate::Finishes),
        5..8 => ("SLEEP", json!({ "ms": n % 30 }), 60_000, Fate::Finishes),
        8 if n % 50 == 8 => ("SLEEP", json!({ "ms": 3_600_000 }), 600_000, Fate::IsCancelled),
        8 => ("GENERATE_LOGIN", json!({ "length": 12 }), 60_000, Fate::Finishes),
        _ => ("SLEEP", json!({ "ms": 3_600_000 }), 100, Fate::Expires),
    }
}

/// A task of the mix that was accepted.
type Accepted = (usize, TaskId, Fate);

/// Submissions under way.
struct Flow {
    count: watch::Receiver<usize>,
    all: JoinHandle<Vec<Accepted>>,
}

impl Flow {
    /// Begins to submit tasks `0..to` of the mix.
    fn start(people: &[Person], to: usize) -> Self {
        let (counted, count) = watch::channel(0);
        let people = people.to_vec();
        let all = TaskTracker::new().spawn(async move { counting(&people, 0, to, &counted).await });
        Self { count, all }
    }

    /// Waits until so many have been accepted.
    async fn accepted(&mut self, count: usize) {
        self.count.wait_for(|so_far| *so_far >= count).await.unwrap();
    }

    /// Waits for the last of them.
    async fn end(self) -> Vec<Accepted> {
        self.all.await.unwrap()
    }
}

/// Submits tasks `from..to` of the mix at all of `people`.
async fn submit(people: &[Person], from: usize, to: usize) -> Vec<Accepted> {
    counting(people, from, to, &watch::Sender::new(0)).await
}

/// The same, counting them; a submission that meets a dead server is made again.
async fn counting(people: &[Person], from: usize, to: usize, count: &watch::Sender<usize>) -> Vec<Accepted> {
    let mut submitters = JoinSet::new();
    for first in 0..SUBMITTERS {
        let (people, count) = (people.to_vec(), count.clone());
        submitters.spawn(async move {
            let mut accepted = Vec::new();
            for n in (from + first..to).step_by(SUBMITTERS) {
                let (name, parameters, ttl, fate) = mixed(n);
                let person = &people[n % people.len()];
                let id = person.accepted(name, &parameters, ttl).await;
                if fate == Fate::IsCancelled {
                    while !person.try_cancel(id).await {
                        tokio::task::yield_now().await;
                    }
                }
                accepted.push((n, id, fate));
                count.send_modify(|count| *count += 1);
            }
            accepted
        });
    }
    submitters.join_all().await.concat()
}

/// Waits for the end of each, which must be its fate, or the loss of its worker where that may be.
async fn all_end_right(person: &Person, accepted: &[Accepted], may_be_lost: bool) {
    let mut lost = 0;
    for &(n, id, fate) in accepted {
        let task = person.ended(id).await;
        let end = (task.status, task.reason);
        if may_be_lost
            && matches!(end, (_, Some(Reason::WorkerLost | Reason::TtlExpired | Reason::LateResult)))
        {
            lost += usize::from(fate == Fate::Finishes);
            continue;
        }
        match fate {
            Fate::Finishes => assert_eq!(end, (Status::Finished, None), "{task:?}"),
            Fate::Expires => assert_eq!(end, (Status::Cancelled, Some(Reason::TtlExpired)), "{task:?}"),
            Fate::IsCancelled => assert_eq!(end, (Status::Cancelled, Some(Reason::Requested)), "{task:?}"),
        }
        if n % 100 == 0 {
            let result: Value = person.result(id).await.json().await.unwrap();
            assert_eq!(result["result"], json!({ "n": n }));
        }
    }
    assert!(lost * 4 < accepted.len(), "most of the work goes on");
}

async fn people(cluster: &Cluster) -> [Person; 2] {
    let ann = Person::register(&cluster.addresses_of(0), "ann").await;
    let same = Person::sign_in(&cluster.addresses_of(1), "ann").await;
    [ann, same]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_mixed_tasks_end_right_with_two_backends_and_three_workers() {
    let mut cluster = Cluster::of(plan(&kafka_server())).await;
    assert_eq!(cluster.processes().len(), 5);
    let people = people(&cluster).await;
    let accepted = submit(&people, 0, 10_000).await;
    all_end_right(&people[1], &accepted, false).await;
    let (by_ticket, by_pull) = history_audit::by_ticket_and_by_pull(&mut cluster);
    println!("{by_ticket} tasks came by ticket, {by_pull} by pull");
    assert!(by_ticket > by_pull, "tickets bring the work");
    history_audit::books_balance(&cluster.database().url, 10_000, Some(10_000)).await;
    cluster.stop_work();
    assert_eq!(history_audit::dead_letters(&kafka_server(), cluster.prefix()), 0);
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_and_a_backend_killed_under_load_lose_nothing_over_kafka() {
    let mut cluster = Cluster::of(plan(&kafka_server())).await;
    let people = people(&cluster).await;
    let mut flow = Flow::start(&people, 3000);
    flow.accepted(1000).await;
    cluster.kill_worker();
    cluster.kill_backend();
    let accepted = flow.end().await;
    all_end_right(&people[1], &accepted, true).await;
    history_audit::books_balance(&cluster.database().url, 3000, None).await;
    // What comes now is served as if nothing had been.
    let after = submit(&people, 3000, 3500).await;
    all_end_right(&people[0], &after, false).await;
    history_audit::nothing_ran_twice(&mut cluster);
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_may_be_away_at_the_start_and_die_under_load() {
    let kafka = OwnKafka::start();
    kafka.kill();
    let mut cluster = Cluster::of(plan(&kafka.address())).await;
    let people = people(&cluster).await;
    // Without Kafka all of it works, and it is said what does not.
    let before = submit(&people, 0, 300).await;
    all_end_right(&people[0], &before, false).await;
    people[0]
        .until_health(|health| health["degraded"][0].as_str().is_some_and(|said| said.contains("Kafka")))
        .await;

    kafka.start_again();
    people[0].until_health(|health| health.get("degraded").is_none()).await;
    let mut flow = Flow::start(&people, 3000);
    flow.accepted(1000).await;
    kafka.kill();
    people[0].until_health(|health| health.get("degraded").is_some()).await;
    // The submissions went on meanwhile; none of them waits for Kafka.
    let accepted = flow.end().await;
    all_end_right(&people[1], &accepted, false).await;
    kafka.start_again();
    people[1].until_health(|health| health.get("degraded").is_none()).await;
    let after = submit(&people, 3000, 3300).await;
    all_end_right(&people[0], &after, false).await;
    history_audit::books_balance(&cluster.database().url, 3600, Some(3600)).await;
    history_audit::nothing_ran_twice(&mut cluster);
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_are_emptied_and_topics_that_are_gone_cost_time_only() {
    let mut cluster = Cluster::of(plan(&kafka_server())).await;
    let people = people(&cluster).await;
    let mut flow = Flow::start(&people, 3000);
    flow.accepted(500).await;
    for _ in 0..5 {
        history_audit::empty_topics(&kafka_server(), cluster.prefix()).await;
    }
    flow.accepted(1500).await;
    history_audit::delete_topics(&kafka_server(), cluster.prefix()).await;
    let accepted = flow.end().await;
    all_end_right(&people[1], &accepted, false).await;
    people[0].until_health(|health| health.get("degraded").is_none()).await;
    let after = submit(&people, 3000, 3300).await;
    all_end_right(&people[0], &after, false).await;
    history_audit::books_balance(&cluster.database().url, 3300, Some(3300)).await;
    history_audit::nothing_ran_twice(&mut cluster);
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_doubled_and_replayed_from_the_start_change_nothing() {
    let mut cluster = Cluster::of(plan(&kafka_server())).await;
    let people = people(&cluster).await;
    let accepted = submit(&people, 0, 1000).await;
    // Doubled while they are fresh, then once more when all has ended.
    history_audit::double_messages(&kafka_server(), cluster.prefix());
    all_end_right(&people[0], &accepted, false).await;
    history_audit::double_messages(&kafka_server(), cluster.prefix());
    let before = history_audit::outcomes(&cluster).await;
    history_audit::nothing_ran_twice(&mut cluster);

    cluster.stop_work();
    history_audit::rewind_groups(&kafka_server(), cluster.prefix()).await;
    cluster.start_workers(3);
    cluster.start_backends();
    cluster.until_workers_take();
    let after = submit(&people, 1000, 1300).await;
    all_end_right(&people[1], &after, false).await;
    history_audit::everything_was_read(&kafka_server(), cluster.prefix()).await;
    let unchanged = history_audit::outcomes(&cluster).await;
    assert!(before.iter().all(|row| unchanged.contains(row)), "what had ended was changed");
    history_audit::books_balance(&cluster.database().url, 1300, Some(1300)).await;
    history_audit::nothing_ran_twice(&mut cluster);
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_come_and_go_under_load_share_the_work_anew() {
    for protocol in ["classic", "consumer"] {
        let mut plan = plan(&kafka_server());
        (plan.workers, plan.slots) = (1, 16);
        plan.settings.push(format!("kafka.group_protocol={protocol}"));
        let mut cluster = Cluster::of(plan).await;
        let people = people(&cluster).await;
        let mut flow = Flow::start(&people, 3000);
        for step in 1..4 {
            flow.accepted(step * 700).await;
            match step {
                1 => cluster.start_workers(2),
                2 => cluster.stop_worker(),
                _ => cluster.start_workers(1),
            }
        }
        let accepted = flow.end().await;
        all_end_right(&people[1], &accepted, false).await;
        history_audit::books_balance(&cluster.database().url, 3000, Some(3000)).await;
        history_audit::nothing_ran_twice(&mut cluster);
        cluster.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_a_type_that_nobody_runs_is_declined_and_stands_in_nobodys_way() {
    let mut cluster = Cluster::of(plan(&kafka_server())).await;
    let people = people(&cluster).await;
    let rig = Person::program(&cluster.addresses(), "rig", "a secret of the test").await;
    rig.enter_operation("FOREIGN", "default").await;
    let foreign = people[0].submit("FOREIGN", json!({}), 60_000).await;
    let accepted = submit(&people, 0, 300).await;
    all_end_right(&people[1], &accepted, false).await;
    history_audit::everything_was_read(&kafka_server(), cluster.prefix()).await;
    assert_eq!(people[1].task(foreign).await.status, Status::Created);
    assert_eq!(people[0].cancel(foreign).await.status(), StatusCode::OK);
    cluster.stop();
}

/// A refusal that says nothing of the results themselves (here a table is away) passes: they wait, and none is put aside.
#[tokio::test]
async fn results_that_the_database_refuses_for_a_while_are_settled_later() {
    let mut cluster = Cluster::of(Plan { backends: 1, workers: 1, ..plan(&kafka_server()) }).await;
    let person = Person::register(&cluster.addresses(), "ann").await;
    history_audit::rename_table(&cluster, "outcome", "away").await;
    let mut accepted = Vec::new();
    for n in 0..20 {
        accepted.push((n, person.accepted("ECHO", &json!({ "n": n }), 60_000).await, Fate::Finishes));
    }
    cluster.until_backend_says("settling results from Kafka: failed");
    history_audit::rename_table(&cluster, "away", "outcome").await;
    all_end_right(&person, &accepted, false).await;
    assert_eq!(history_audit::dead_letters(&kafka_server(), cluster.prefix()), 0);
    cluster.stop();
}
