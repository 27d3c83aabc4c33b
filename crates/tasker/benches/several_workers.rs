//! Several workers: how the load divides among them, what stealing brings, and Kafka beside long poll, as Markdown tables.
//!
//! `make bench` runs it, with a PostgreSQL and a Kafka of its own. Everything shares the machine, the load generator too:
//! compare the figures of one run with one another rather than with those of another machine.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(unreachable_pub, reason = "the modules are those of the tests")]
#![expect(dead_code, reason = "the modules are those of the tests, and a bench needs a part of them")]
#![expect(clippy::cast_precision_loss, reason = "the figures are rounded when printed")]

#[path = "../tests/it/kit"]
mod kit {
    pub(crate) mod api_client;
    pub(crate) mod cluster;
    pub(crate) mod command;
    pub(crate) mod process;
    pub(crate) mod service_urls;
    pub(crate) mod tasker_up;
    pub(crate) mod wait_until;
}

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use testkit::kafka_address;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};

/// The number of concurrent submissions.
const CONNECTIONS: usize = 64;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime can be built");
    runtime.block_on(async {
        measure_division().await;
        measure_stealing().await;
        compare_kafka_with_long_poll().await;
    });
}

/// Two Backends, with or without Kafka.
fn config(workers: usize, slots: usize, with_kafka: bool) -> ClusterConfig {
    let kafka = with_kafka.then(kafka_address);
    ClusterConfig { backends: 2, workers, slots, kafka, ..ClusterConfig::default() }
}

/// Measures tasks of 200 ms on 1, 2 and 4 workers of 4 slots, with 12 partitions.
async fn measure_division() {
    println!("\n| workers of 4 slots | tasks of 200 ms | tasks/s | of what the slots can do |");
    println!("| --- | --- | --- | --- |");
    for workers in [1, 2, 4] {
        let mut cluster = Cluster::start_with(config(workers, 4, true)).await;
        let client = warm_up(&cluster).await;
        let tasks = 200 * workers;
        submit_at_once(&client, tasks, || ("SLEEP", json!({ "ms": 200 }))).await;
        wait_until_finished(&cluster, "SLEEP", tasks).await;
        let (first_start_us, last_end_us) = first_start_and_last_end(&cluster, "SLEEP").await;
        let rate = tasks as f64 / ((last_end_us - first_start_us) as f64 / 1e6);
        let ideal = workers as f64 * 4.0 / 0.2;
        println!("| {workers} | {tasks} | {rate:.1} | {:.0} % |", rate / ideal * 100.0);
        cluster.stop();
    }
}

/// Measures how long tasks wait on 4 workers of 4 slots, 90 % of 50 ms and 10 % of 5 s, with and without stealing.
async fn measure_stealing() {
    const RATE: f64 = 17.6;
    const TASKS: usize = 1056;
    println!("\n90 % of 50 ms, 10 % of 5 s, {RATE}/s (60 % of what 16 slots can do):\n");
    println!("| stealing | mean wait ms | p50 | p90 | p99 | max |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (stealing, steal_after_ms) in [("off", 0), ("on, after 300 ms", 300)] {
        let mut config = config(4, 4, true);
        config.settings.push(format!("worker.steal_after_ms={steal_after_ms}"));
        // Republished tickets would reach other workers too, and hide what stealing brings.
        config.settings.push("backend.resend_period_ms=600000".to_owned());
        let mut cluster = Cluster::start_with(config).await;
        let client = warm_up(&cluster).await;
        let work = |n: usize| ("SLEEP", json!({ "ms": if n % 10 == 3 { 5000 } else { 50 } }));
        submit_at_rate(&client, RATE, TASKS, work).await;
        let waits = waits_ms(&cluster, "SLEEP", TASKS).await;
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        let permille = |share: usize| waits[(waits.len() - 1) * share / 1000];
        println!(
            "| {stealing} | {mean:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            permille(500),
            permille(900),
            permille(990),
            permille(1000)
        );
        cluster.stop();
    }
}

/// Measures the same work by long poll and over Kafka: throughput, processor time for each task, and how long a task waits for
/// its start at two rates.
async fn compare_kafka_with_long_poll() {
    const TASKS: usize = 20_000;
    println!(
        "\n| way | full tasks/s | CPU us/task: backends | workers | postgres | kafka | at 100/s submit→start ms p50 / p99 | at 1000/s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (way, with_kafka) in [("long poll", false), ("Kafka", true)] {
        let mut cluster = Cluster::start_with(config(3, 200, with_kafka)).await;
        let client = warm_up(&cluster).await;
        let (started, before) = (Instant::now(), cpu_ticks_by_service(&cluster));
        submit_at_once(&client, TASKS, || ("ECHO", json!({ "some": "payload", "of": [1, 2, 3] }))).await;
        wait_until_finished(&cluster, "ECHO", TASKS).await;
        let rate = TASKS as f64 / started.elapsed().as_secs_f64();
        let after = cpu_ticks_by_service(&cluster);
        let us_per_task = |service: &str| {
            let ticks = after.get(service).unwrap_or(&0) - before.get(service).unwrap_or(&0);
            format!("{:.0}", ticks as f64 * 10_000.0 / TASKS as f64)
        };
        let mut waits = Vec::new();
        for (name, rate) in [("GENERATE_LOGIN", 100_u32), ("GENERATE_NUMBER", 1000)] {
            let tasks = usize::try_from(rate * 10).expect("the number is small");
            submit_at_rate(&client, f64::from(rate), tasks, |_| (name, Value::Null)).await;
            let sorted = waits_ms(&cluster, name, tasks).await;
            let percentile = |share: usize| sorted[(sorted.len() - 1) * share / 100];
            waits.push(format!("{:.1} / {:.1}", percentile(50), percentile(99)));
        }
        // Kafka runs in a Java process.
        let columns = ["backend", "worker", "postgres", "java"].map(us_per_task).join(" | ");
        println!("| {way} | {rate:.0} | {columns} | {} |", waits.join(" | "));
        cluster.stop();
    }
}

/// Registers an account and runs some tasks, so that every worker has connections; then forgets the tasks.
async fn warm_up(cluster: &Cluster) -> ApiClient {
    let client = ApiClient::register(&cluster.urls(), "ann").await;
    submit_at_once(&client, 100, || ("ECHO", json!(1))).await;
    wait_until_finished(cluster, "ECHO", 100).await;
    let mut connection = connect(cluster).await;
    for table in ["outcome", "task"] {
        let delete = sqlx::AssertSqlSafe(format!("delete from {table}"));
        sqlx::query(delete).execute(&mut connection).await.expect("the rows can be deleted");
    }
    client
}

/// Submits as fast as the Backends answer.
async fn submit_at_once(client: &ApiClient, tasks: usize, work: impl Fn() -> (&'static str, Value)) {
    let mut submitters = JoinSet::new();
    for first in 0..CONNECTIONS.min(tasks) {
        let (client, (name, parameters)) = (client.clone(), work());
        submitters.spawn(async move {
            for _ in (first..tasks).step_by(CONNECTIONS) {
                client.submit(name, parameters.clone(), 600_000).await;
            }
        });
    }
    submitters.join_all().await;
}

/// Submits `rate` tasks a second, whether or not earlier submissions have been answered (an open loop).
async fn submit_at_rate(
    client: &ApiClient,
    rate: f64,
    tasks: usize,
    work: impl Fn(usize) -> (&'static str, Value),
) {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut submissions = JoinSet::new();
    for n in 0..tasks {
        ticks.tick().await;
        let (client, (name, parameters)) = (client.clone(), work(n));
        submissions.spawn(async move { client.submit(name, parameters, 600_000).await });
    }
    submissions.join_all().await;
}

/// How long each task of a type waited for its start once all of them have finished, in milliseconds, sorted.
async fn waits_ms(cluster: &Cluster, name: &str, tasks: usize) -> Vec<f64> {
    wait_until_finished(cluster, name, tasks).await;
    let query = sqlx::query_as(
        "select o.started_at - t.created_at from outcome o join task t on t.id = o.id where o.type = $1 order by 1",
    );
    let rows = query.bind(name).fetch_all(&mut connect(cluster).await).await;
    let rows: Vec<(i64,)> = rows.expect("the database answers");
    rows.into_iter().map(|(wait_us,)| wait_us as f64 / 1000.0).collect()
}

/// The instants of the first start and of the last end of the tasks of a type, in microseconds since 1970.
async fn first_start_and_last_end(cluster: &Cluster, name: &str) -> (i64, i64) {
    let query = sqlx::query_as("select min(started_at), max(ended_at) from outcome where type = $1");
    query.bind(name).fetch_one(&mut connect(cluster).await).await.expect("the database answers")
}

/// Waits until `tasks` tasks of a type have finished.
async fn wait_until_finished(cluster: &Cluster, name: &str, tasks: usize) {
    let mut connection = connect(cluster).await;
    let mut checks = interval(Duration::from_millis(20));
    loop {
        checks.tick().await;
        let query =
            sqlx::query_as("select count(*) from outcome where type = $1 and status = 'FINISHED'").bind(name);
        let (finished,): (i64,) = query.fetch_one(&mut connection).await.expect("the database answers");
        if usize::try_from(finished).expect("a count is not negative") >= tasks {
            return;
        }
    }
}

async fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::connect(&cluster.database().url).await.expect("the database accepts connections")
}

/// The processor time that the processes of each service have used, in hundredths of a second. PostgreSQL and Kafka (`java`) are
/// found by the name of their processes.
fn cpu_ticks_by_service(cluster: &Cluster) -> BTreeMap<&'static str, u64> {
    let mut ticks_by_service = BTreeMap::new();
    for (service, process) in cluster.process_ids() {
        let ticks = name_and_cpu_ticks(&format!("/proc/{process}/stat")).map_or(0, |(_, ticks)| ticks);
        *ticks_by_service.entry(service).or_default() += ticks;
    }
    for entry in fs::read_dir("/proc").expect("/proc can be read").flatten() {
        let stat = entry.path().join("stat").display().to_string();
        let Some((name, ticks)) = name_and_cpu_ticks(&stat) else { continue };
        if let Some(service) = ["postgres", "java"].into_iter().find(|service| *service == name) {
            *ticks_by_service.entry(service).or_default() += ticks;
        }
    }
    ticks_by_service
}

/// The name of a process and the processor time that it has used, in hundredths of a second; none if the process has ended.
fn name_and_cpu_ticks(stat: &str) -> Option<(String, u64)> {
    let stat = fs::read_to_string(stat).ok()?;
    let (head, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((head.split_once('(')?.1.to_owned(), ticks))
}
