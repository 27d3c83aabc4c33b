//! Readers of events at one Backend: the memory of each, and how long an event takes from the commit to the reader, as a Markdown table.
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

use domain::{TaskEvent, Timestamp};
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

fn main() {
    let up = TaskerUp::start_with(&["backend.max_connections_per_address=20000"]);
    let runtime = tokio::runtime::Runtime::new().expect("the runtime can be built");
    runtime.block_on(measure(up));
}

async fn measure(mut up: TaskerUp) {
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
    let percentile = |share: usize| delays[(delays.len() - 1) * share / 100];
    println!(
        "| readers | events received | kB for each reader | ms from commit to reader p50 / p99 / most |"
    );
    println!("| --- | --- | --- | --- |");
    let (events, most) = (delays.len(), percentile(100));
    let each = open_kilobytes / readers;
    println!("| {readers} | {events} | {each} | {} / {} / {most} |", percentile(50), percentile(99));
}

/// Opens the stream of the tasks of an account.
async fn open(address: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the Backend listens");
    let request =
        format!("GET /api/Task/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
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
