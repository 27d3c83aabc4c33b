//! Readers of events and requests that wait for the end of a task, at one Backend: the memory of each, and how long an event or an answer takes
//! from the commit to the reader, as Markdown tables.
//!
//! `cargo bench --bench event_readers` runs it, on SQLite in one process. One more reader reads nothing. The readers share the machine with the
//! Backend, so the times are upper bounds.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(unreachable_pub, reason = "the modules are those of the tests")]
#![expect(dead_code, reason = "the modules are those of the tests, and a bench needs a part of them")]
#![expect(clippy::disallowed_methods, reason = "a reader is another program, with the clock of the machine")]

#[path = "../tests/it/kit"]
mod kit {
    pub(crate) mod api_client;
    pub(crate) mod command;
    pub(crate) mod process;
    pub(crate) mod service_urls;
    pub(crate) mod tasker_up;
    pub(crate) mod wait_until;
}

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{Task, TaskEvent, Timestamp};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;

/// The accounts, and the readers of each.
const ACCOUNTS: usize = 50;
const READERS_OF_ACCOUNT: usize = 100;

/// The tasks of each account, one after the other in all accounts at once.
const TASKS_OF_ACCOUNT: usize = 20;

/// The requests that wait for the end of a task, each for another one.
const WAITING: usize = 5000;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("the runtime can be built");
    // Two processes: memory that the first load has left free does not hide what the second one takes.
    for measured in [true, false] {
        let up = TaskerUp::start_with(&["backend.max_connections_per_address=20000", "worker.slots=200"]);
        if measured {
            runtime.block_on(measure_readers(up));
        } else {
            runtime.block_on(measure_waiting(up));
        }
    }
}

/// Requests with `Prefer: wait` for tasks that are cancelled once all of them wait.
async fn measure_waiting(mut up: TaskerUp) {
    let process = up.process().id();
    let urls = up.urls();
    let address = urls.backend.strip_prefix("http://").expect("plain HTTP").to_owned();
    let account = ApiClient::register(&urls, "waiter").await;
    let mut ids = Vec::new();
    for _ in 0..WAITING {
        // No worker runs it before the measurement is over.
        let body = json!({"type": "ECHO", "ttl": 60_000, "delayMs": 3_600_000});
        ids.push(account.submit_body_with_key_until_accepted(&format!("{}", ids.len()), &body).await);
    }
    let before = resident_kilobytes(process);
    let mut waiting = JoinSet::new();
    for id in &ids {
        let path = format!("/api/Task/{id}");
        let stream = request(&address, account.token(), &path, "prefer: wait=30\r\n").await;
        waiting.spawn(read_answer(stream));
    }
    // The Backend has read every request once it has answered one that was sent after them.
    account.read_task(ids[0]).await;
    let each = (resident_kilobytes(process) - before) / WAITING;
    let mut cancellations = JoinSet::new();
    for part in ids.chunks(WAITING / ACCOUNTS) {
        let (part, account) = (part.to_vec(), account.clone());
        cancellations.spawn(async move {
            for id in part {
                account.cancel(id).await;
            }
        });
    }
    cancellations.join_all().await;
    let mut delays = waiting.join_all().await;
    delays.sort_unstable();
    println!("| waiting requests | kB for each | ms from commit to answer p50 / p99 / most |");
    println!("| --- | --- | --- |");
    println!(
        "| {WAITING} | {each} | {} / {} / {} |",
        percentile(&delays, 50),
        percentile(&delays, 99),
        percentile(&delays, 100)
    );
}

/// Reads the answer about a task that has ended; the milliseconds from its end.
async fn read_answer(stream: TcpStream) -> i64 {
    let mut lines = BufReader::with_capacity(2048, stream).lines();
    while let Some(line) = lines.next_line().await.expect("the answer is text") {
        if line.starts_with('{') {
            let task: Task = serde_json::from_str(&line).expect("a task");
            return now().micros_since(task.end_date.expect("it has ended")) / 1000;
        }
    }
    panic!("the Backend has answered without a task");
}

fn percentile(sorted: &[i64], share: usize) -> i64 {
    sorted[(sorted.len() - 1) * share / 100]
}

async fn measure_readers(mut up: TaskerUp) {
    let process = up.process().id();
    let urls = up.urls();
    let address = urls.backend.strip_prefix("http://").expect("plain HTTP").to_owned();
    let mut accounts = Vec::new();
    for n in 0..ACCOUNTS {
        accounts.push(ApiClient::register(&urls, &format!("reader-{n}")).await);
    }
    let before = resident_kilobytes(process);
    let readers = ACCOUNTS * READERS_OF_ACCOUNT;
    let are_open = Arc::new(Barrier::new(readers + 1));
    let (delays, mut received) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for account in &accounts {
        for _ in 0..READERS_OF_ACCOUNT {
            let stream = open(&address, account.token()).await;
            let (are_open, delays) = (Arc::clone(&are_open), delays.clone());
            tasks.spawn(read(stream, are_open, delays));
        }
    }
    drop(delays);
    // It reads nothing.
    let _slow = open(&address, accounts[0].token()).await;
    are_open.wait().await;
    let open_kilobytes = resident_kilobytes(process) - before;
    let mut submitters = JoinSet::new();
    for account in accounts {
        submitters.spawn(async move {
            for _ in 0..TASKS_OF_ACCOUNT {
                account.submit("ECHO", json!(1), 60_000).await;
            }
        });
    }
    submitters.join_all().await;
    tasks.join_all().await;
    let mut delays = Vec::new();
    while let Ok(delay) = received.try_recv() {
        delays.push(delay);
    }
    delays.sort_unstable();
    println!(
        "| readers | events received | kB for each reader | ms from commit to reader p50 / p99 / most |"
    );
    println!("| --- | --- | --- | --- |");
    let (events, most) = (delays.len(), percentile(&delays, 100));
    let each = open_kilobytes / readers;
    println!(
        "| {readers} | {events} | {each} | {} / {} / {most} |",
        percentile(&delays, 50),
        percentile(&delays, 99)
    );
}

/// Opens the stream of the tasks of an account.
async fn open(address: &str, token: &str) -> TcpStream {
    request(address, token, "/api/Task/events", "").await
}

/// Sends a request on a connection of its own.
async fn request(address: &str, token: &str, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the Backend listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{headers}connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("the Backend reads");
    stream
}

/// Reads until every task of the account has ended; sends the delay of each event in milliseconds.
async fn read(stream: TcpStream, are_open: Arc<Barrier>, delays: mpsc::UnboundedSender<i64>) {
    let mut lines = BufReader::with_capacity(2048, stream).lines();
    let mut ended = 0;
    while ended < TASKS_OF_ACCOUNT {
        let line = lines.next_line().await.expect("the stream is text").expect("the stream goes on");
        if line == "event: reset" {
            are_open.wait().await;
        }
        let Some(data) = line.strip_prefix("data: {\"event\"") else { continue };
        let event: TaskEvent = serde_json::from_str(&format!("{{\"event\"{data}")).expect("an event");
        let at = event.end_date.or(event.start_date).unwrap_or(event.creation_date);
        let _ = delays.send(now().micros_since(at) / 1000);
        ended += usize::from(event.end_date.is_some());
    }
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// The resident memory of a process.
fn resident_kilobytes(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("kB")
}
