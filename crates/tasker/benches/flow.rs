//! Tasks through the whole system over HTTP (submit, claim, run, report), the time of a start and the idle footprint, as Markdown
//! tables.
//!
//! `make bench` runs it: first SQLite in one process, then a process for each service on PostgreSQL. The load generator shares
//! the machine, so the figures are lower bounds.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(unreachable_pub, reason = "the modules are those of the tests")]
#![expect(dead_code, reason = "the modules are those of the tests, and a bench needs a part of them")]

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

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::Status;
use serde_json::json;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::Cluster;
use crate::kit::service_urls::ServiceUrls;
use crate::kit::tasker_up::TaskerUp;

/// The number of tasks of each run.
const TASKS: usize = 20_000;

/// The number of concurrent submissions.
const CONNECTIONS: usize = 64;

/// The number of tasks that are submitted one after the other, to measure the latency without load.
const SEQUENTIAL_TASKS: usize = 200;

/// For how long the processor time of an idle process is measured.
const IDLE_TIME: Duration = Duration::from_secs(10);

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime can be built");
    println!("| system | full tasks/s | submit ms p50 / p99 | alone, submit to end ms p50 / p99 |");
    println!("| --- | --- | --- | --- |");
    let up = TaskerUp::start_with(&["worker.slots=500"]);
    runtime.block_on(measure_tasks("SQLite, one process", &up.urls()));
    drop(up);
    let cluster = runtime.block_on(Cluster::start(1, 500));
    runtime.block_on(measure_tasks("PostgreSQL, a process for each role", &cluster.urls()));
    drop(cluster);
    println!("\n| `tasker up` | first start ms | later start ms | idle RSS MB | idle CPU % |");
    println!("| --- | --- | --- | --- | --- |");
    measure_footprint();
}

/// Measures throughput under load and latency without load, and prints both as a row.
async fn measure_tasks(system: &str, urls: &ServiceUrls) {
    let client = ApiClient::register(urls, "ann").await;
    client.wait_until_ended(client.submit("ECHO", json!(1), 60_000).await).await;
    let started = Instant::now();
    let submitted = Arc::new(AtomicUsize::new(0));
    let mut submitters = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (client, submitted) = (client.clone(), Arc::clone(&submitted));
        submitters.spawn(async move {
            let mut times = Vec::new();
            while submitted.fetch_add(1, Ordering::Relaxed) < TASKS {
                let sent = Instant::now();
                client.submit("ECHO", json!({"some": "payload", "of": [1, 2, 3]}), 60_000).await;
                times.push(sent.elapsed());
            }
            times
        });
    }
    let mut submit_times: Vec<Duration> = submitters.join_all().await.into_iter().flatten().collect();
    // The list is a page of the newest tasks: those before them ended earlier.
    let mut newest = client.list_tasks().await.tasks;
    while let Some(task) = newest.pop() {
        if task.status != Status::Finished {
            assert_eq!(client.wait_until_ended(task.id).await.status, Status::Finished);
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut latencies = Vec::new();
    for _ in 0..SEQUENTIAL_TASKS {
        let sent = Instant::now();
        client.submit_and_wait("ECHO", json!(1), 60_000).await;
        latencies.push(sent.elapsed());
    }
    #[expect(clippy::cast_precision_loss, reason = "the number of tasks is small")]
    let rate = TASKS as f64 / seconds;
    let (submit, latency) = (percentiles(&mut submit_times), percentiles(&mut latencies));
    println!("| {system} | {rate:.0} | {submit} | {latency} |");
}

/// The median and the 99th percentile, in milliseconds.
fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let percentile = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    format!("{:.1} / {:.1}", percentile(50), percentile(99))
}

/// Measures the first start of a `tasker up`, a later one, and the memory and processor time of the idle process.
fn measure_footprint() {
    let started = Instant::now();
    let up = TaskerUp::start();
    let first_start = started.elapsed();
    let (home, _) = up.stop();
    let started = Instant::now();
    let mut up = TaskerUp::start_in(home, &[]);
    let later_start = started.elapsed();
    let process = up.process().id();
    let before = cpu_ticks(process);
    std::thread::sleep(IDLE_TIME);
    let ticks = cpu_ticks(process) - before;
    // A tick is a hundredth of a second.
    let percent = f64::from(ticks) / IDLE_TIME.as_secs_f64();
    let (first_start, later_start) = (first_start.as_millis(), later_start.as_millis());
    println!("| | {first_start} | {later_start} | {} | {percent:.1} |", resident_megabytes(process));
}

/// The processor time that a process has used, in user mode and in the kernel, in hundredths of a second.
fn cpu_ticks(process: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    let after_name = stat.rsplit_once(')').expect("the name is in parentheses").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u32>().expect("utime") + fields[12].parse::<u32>().expect("stime")
}

/// The resident memory of a process.
fn resident_megabytes(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") / 1024
}
