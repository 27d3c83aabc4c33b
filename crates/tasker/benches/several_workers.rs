//! Several workers: how the load divides, what stealing is worth, and Kafka beside pull, as Markdown tables.
//!
//! `make bench` runs it, beside a PostgreSQL and a Kafka of its own. Everything shares the machine, the load generator too:
//! the ratios within one run say more than the figures.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(unreachable_pub, reason = "the modules are those of the tests")]
#![expect(dead_code, reason = "the modules are those of the tests, and a bench needs a part of them")]
#![expect(clippy::cast_precision_loss, reason = "figures for eyes")]

#[path = "../tests/it/kit"]
mod kit {
    pub(crate) mod cluster;
    pub(crate) mod person;
    pub(crate) mod process;
    pub(crate) mod until;
}

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use testkit::kafka_server;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::kit::cluster::{Cluster, Plan};
use crate::kit::person::Person;

/// How many connections submit at once.
const CONNECTIONS: usize = 64;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        division().await;
        stealing().await;
        kafka_beside_pull().await;
    });
}

fn plan(workers: usize, slots: usize, with_kafka: bool) -> Plan {
    Plan { backends: 2, workers, slots, kafka: with_kafka.then(kafka_server), settings: Vec::new() }
}

/// Tasks of 200 ms on 1, 2 and 4 workers of 4 slots, 12 partitions.
async fn division() {
    println!("\n| workers of 4 slots | tasks of 200 ms | tasks/s | of what the slots can do |");
    println!("| --- | --- | --- | --- |");
    for workers in [1, 2, 4] {
        let mut cluster = Cluster::of(plan(workers, 4, true)).await;
        let ann = warm(&cluster).await;
        let tasks = 200 * workers;
        at_once(&ann, tasks, || ("SLEEP", json!({ "ms": 200 }))).await;
        let (first, last): (i64, i64) =
            ask(&cluster, "select min(started), max(ended) from outcome where type = 'SLEEP'", tasks).await;
        let rate = tasks as f64 / ((last - first) as f64 / 1e6);
        let ideal = workers as f64 * 4.0 / 0.2;
        println!("| {workers} | {tasks} | {rate:.1} | {:.0} % |", rate / ideal * 100.0);
        cluster.stop();
    }
}

/// 90 % of 50 ms and 10 % of 5 s on 4 workers of 4 slots, with and without stealing.
async fn stealing() {
    const RATE: f64 = 17.6;
    const TASKS: usize = 1056;
    println!("\n90 % of 50 ms, 10 % of 5 s, {RATE}/s (60 % of what 16 slots can do):\n");
    println!("| stealing | mean wait ms | p50 | p90 | p99 | max |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (stealing, steal_after) in [("off", 0), ("on, after 300 ms", 300)] {
        let mut plan = plan(4, 4, true);
        plan.settings.push(format!("worker.steal_after_ms={steal_after}"));
        // What waits for long is offered again too: here that would blur the picture.
        plan.settings.push("backend.resend_period_ms=600000".to_owned());
        let mut cluster = Cluster::of(plan).await;
        let ann = warm(&cluster).await;
        let work = |n: usize| ("SLEEP", json!({ "ms": if n % 10 == 3 { 5000 } else { 50 } }));
        paced(&ann, RATE, TASKS, work).await;
        let waits = waits(&cluster, "SLEEP", TASKS).await;
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        let at = |share: usize| waits[(waits.len() - 1) * share / 1000];
        println!(
            "| {stealing} | {mean:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            at(500),
            at(900),
            at(990),
            at(1000)
        );
        cluster.stop();
    }
}

/// The same work by pull and over Kafka: throughput, CPU for each task, and how long a task waits for its start.
async fn kafka_beside_pull() {
    const TASKS: usize = 20_000;
    println!(
        "\n| way | full tasks/s | CPU us/task: backends | workers | postgres | kafka | at 100/s submit→start ms p50 / p99 | at 1000/s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (way, with_kafka) in [("pull", false), ("Kafka", true)] {
        let mut cluster = Cluster::of(plan(3, 200, with_kafka)).await;
        let ann = warm(&cluster).await;
        let (begun, before) = (Instant::now(), cpu(&cluster));
        at_once(&ann, TASKS, || ("ECHO", json!({ "some": "payload", "of": [1, 2, 3] }))).await;
        until_ended(&cluster, "ECHO", TASKS).await;
        let rate = TASKS as f64 / begun.elapsed().as_secs_f64();
        let after = cpu(&cluster);
        let spent = |part: &str| {
            let ticks = after.get(part).unwrap_or(&0) - before.get(part).unwrap_or(&0);
            format!("{:.0}", ticks as f64 * 10_000.0 / TASKS as f64)
        };
        let mut starts = Vec::new();
        for (name, rate) in [("GENERATE_LOGIN", 100_u32), ("GENERATE_NUMBER", 1000)] {
            let tasks = usize::try_from(rate * 10).expect("a count");
            paced(&ann, f64::from(rate), tasks, |_| (name, Value::Null)).await;
            let waits = waits(&cluster, name, tasks).await;
            let at = |share: usize| waits[(waits.len() - 1) * share / 100];
            starts.push(format!("{:.1} / {:.1}", at(50), at(99)));
        }
        let columns = ["backend", "worker", "postgres", "java"].map(spent).join(" | ");
        println!("| {way} | {rate:.0} | {columns} | {} |", starts.join(" | "));
        cluster.stop();
    }
}

/// Someone who submits, once every worker has run something.
async fn warm(cluster: &Cluster) -> Person {
    let ann = Person::register(&cluster.addresses(), "ann").await;
    at_once(&ann, 100, || ("ECHO", json!(1))).await;
    until_ended(cluster, "ECHO", 100).await;
    let mut connection = PgConnection::connect(&cluster.database().url).await.expect("the database");
    for table in ["outcome", "task"] {
        let forget = format!("delete from {table}");
        sqlx::query(sqlx::AssertSqlSafe(forget))
            .execute(&mut connection)
            .await
            .expect("the warm-up is forgotten");
    }
    ann
}

/// Submits as fast as it goes.
async fn at_once(ann: &Person, tasks: usize, work: impl Fn() -> (&'static str, Value)) {
    let mut submitters = JoinSet::new();
    for first in 0..CONNECTIONS.min(tasks) {
        let (ann, (name, parameters)) = (ann.clone(), work());
        submitters.spawn(async move {
            for _ in (first..tasks).step_by(CONNECTIONS) {
                ann.submit(name, parameters.clone(), 600_000).await;
            }
        });
    }
    submitters.join_all().await;
}

/// Submits at a steady rate, whatever becomes of it.
async fn paced(ann: &Person, rate: f64, tasks: usize, work: impl Fn(usize) -> (&'static str, Value)) {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut submissions = JoinSet::new();
    for n in 0..tasks {
        ticks.tick().await;
        let (ann, (name, parameters)) = (ann.clone(), work(n));
        submissions.spawn(async move { ann.submit(name, parameters, 600_000).await });
    }
    submissions.join_all().await;
}

/// How long each task of a type waited for its start, in milliseconds, sorted.
async fn waits(cluster: &Cluster, name: &str, tasks: usize) -> Vec<f64> {
    until_ended(cluster, name, tasks).await;
    let mut connection = PgConnection::connect(&cluster.database().url).await.expect("the database");
    let rows: Vec<(i64,)> = sqlx::query_as(
        "select o.started - t.created from outcome o join task t on t.id = o.id where o.type = $1 order by 1",
    )
    .bind(name)
    .fetch_all(&mut connection)
    .await
    .expect("the waits");
    rows.into_iter().map(|(micros,)| micros as f64 / 1000.0).collect()
}

/// The answer to a question of two numbers, once so many tasks have ended.
async fn ask(cluster: &Cluster, question: &'static str, tasks: usize) -> (i64, i64) {
    until_ended(cluster, "SLEEP", tasks).await;
    let mut connection = PgConnection::connect(&cluster.database().url).await.expect("the database");
    sqlx::query_as(question).fetch_one(&mut connection).await.expect("an answer")
}

async fn until_ended(cluster: &Cluster, name: &str, tasks: usize) {
    let mut connection = PgConnection::connect(&cluster.database().url).await.expect("the database");
    let mut looks = interval(Duration::from_millis(20));
    loop {
        looks.tick().await;
        let ended = "select count(*) from outcome where type = $1 and status = 'FINISHED'";
        let (ended,): (i64,) =
            sqlx::query_as(ended).bind(name).fetch_one(&mut connection).await.expect("a count");
        if usize::try_from(ended).expect("a count") >= tasks {
            return;
        }
    }
}

/// What each part has used of the processors, in hundredths of a second.
fn cpu(cluster: &Cluster) -> BTreeMap<&'static str, u64> {
    let mut used = BTreeMap::new();
    for (role, process) in cluster.processes() {
        *used.entry(role).or_default() +=
            ticks(&format!("/proc/{process}/stat")).map_or(0, |(_, ticks)| ticks);
    }
    for entry in fs::read_dir("/proc").expect("processes").flatten() {
        let Some((name, ticks)) = ticks(&entry.path().join("stat").display().to_string()) else { continue };
        if let Some(part) = ["postgres", "java"].into_iter().find(|part| *part == name) {
            *used.entry(part).or_default() += ticks;
        }
    }
    used
}

fn ticks(stat: &str) -> Option<(String, u64)> {
    let stat = fs::read_to_string(stat).ok()?;
    let (head, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((head.split_once('(')?.1.to_owned(), ticks))
}
