//! The whole way through HTTP (submit, claim, run, settle), start-up and idle footprint, as one Markdown table.
//!
//! `make bench` runs it: SQLite in one process, then a process for each role on PostgreSQL. The load generator shares the
//! machine, so the figures are a floor.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(unreachable_pub, reason = "the modules are those of the tests")]
#![expect(dead_code, reason = "the modules are those of the tests, and a bench needs a part of them")]

#[path = "../tests/it/kit"]
mod kit {
    pub(crate) mod cluster;
    pub(crate) mod person;
    pub(crate) mod process;
    pub(crate) mod until;
}

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::Status;
use serde_json::json;

use crate::kit::cluster::Cluster;
use crate::kit::person::Person;
use crate::kit::process::Up;

/// How many tasks each run takes through.
const TASKS: usize = 20_000;

/// How many connections submit at once.
const CONNECTIONS: usize = 64;

/// How many tasks are followed one by one for the latency.
const ONE_BY_ONE: usize = 200;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("| system | full tasks/s | submit ms p50 / p99 | alone, submit to end ms p50 / p99 |");
    println!("| --- | --- | --- | --- |");
    let up = Up::start_with(&["worker.slots=500"]);
    runtime.block_on(flow("SQLite, one process", &up.addresses()));
    drop(up);
    let cluster = runtime.block_on(Cluster::start(1, 500));
    runtime.block_on(flow("PostgreSQL, a process for each role", &cluster.addresses()));
    drop(cluster);
    println!("\n| `tasker up` | first start ms | later start ms | idle RSS MB | idle CPU % |");
    println!("| --- | --- | --- | --- | --- |");
    footprint();
}

async fn flow(system: &str, at: &kit::person::Addresses) {
    let ann = Person::register(at, "ann").await;
    ann.ended(ann.submit("ECHO", json!(1), 60_000).await).await;
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut submitters = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (ann, next) = (ann.clone(), Arc::clone(&next));
        submitters.spawn(async move {
            let mut took = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < TASKS {
                let sent = Instant::now();
                ann.submit("ECHO", json!({"some": "payload", "of": [1, 2, 3]}), 60_000).await;
                took.push(sent.elapsed());
            }
            took
        });
    }
    let mut submits: Vec<Duration> = submitters.join_all().await.into_iter().flatten().collect();
    let mut left = ann.tasks().await.tasks;
    while let Some(task) = left.pop() {
        if task.status != Status::Finished {
            assert_eq!(ann.ended(task.id).await.status, Status::Finished);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let mut alone = Vec::new();
    for _ in 0..ONE_BY_ONE {
        let sent = Instant::now();
        ann.submitted_and_ended("ECHO", json!(1), 60_000).await;
        alone.push(sent.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "a handful of thousands")]
    let rate = TASKS as f64 / seconds;
    println!("| {system} | {rate:.0} | {} | {} |", percentiles(&mut submits), percentiles(&mut alone));
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    format!("{:.1} / {:.1}", at(50), at(99))
}

fn footprint() {
    let begun = Instant::now();
    let up = Up::start();
    let first = begun.elapsed();
    let (home, _) = up.stop();
    let begun = Instant::now();
    let mut up = Up::start_in(home, &[]);
    let later = begun.elapsed();
    let idle = Duration::from_secs(10);
    let before = cpu_ticks(up.process().id());
    std::thread::sleep(idle);
    let ticks = cpu_ticks(up.process().id()) - before;
    // A tick is a hundredth of a second.
    let percent = f64::from(ticks) / idle.as_secs_f64();
    println!(
        "| | {} | {} | {} | {percent:.1} |",
        first.as_millis(),
        later.as_millis(),
        rss_mb(up.process().id())
    );
}

fn cpu_ticks(process: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let after_name = stat.rsplit_once(')').expect("the name ends").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u32>().expect("utime") + fields[12].parse::<u32>().expect("stime")
}

fn rss_mb(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") / 1024
}
