//! Servers that do not want to answer, or that lead elsewhere: a call to them is over at the deadline of its task, and never reaches an address
//! that is not listed.

use std::fmt::Write as _;
use std::fs;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use domain::{Reason, Task};
use futures_util::FutureExt;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, timeout};
use tokio_util::task::TaskTracker;

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::{MAX_WAIT, wait_until};

/// The pause between two bytes of a server that drips.
const DRIP_INTERVAL: Duration = Duration::from_millis(10);

/// The time to live of a task that waits for its deadline.
const TTL_MS: u64 = 1500;

/// A time to live that no test reaches.
const LONG_TTL_MS: u64 = 30_000;

/// A worker with operations that call servers.
struct CallingWorker {
    _up: TaskerUp,
    user: ApiClient,
}

impl CallingWorker {
    /// Starts one with an operation for each of `operations`: a type, a URL, and further settings of `http`. The file `secret` has a secret.
    async fn start(operations: &[(&str, String, &str)]) -> Self {
        let home = TempDir::new().expect("a temporary directory can be created");
        let mut settings = String::new();
        for (name, url, further) in operations {
            writeln!(
                settings,
                "[[worker.operations]]\ntype = \"{name}\"\nhttp = {{ url = \"{url}\", method = \"GET\", {further} }}"
            )
            .expect("a string takes everything");
        }
        fs::write(home.path().join("tasker.toml"), settings).expect("the settings can be written");
        fs::write(home.path().join("secret"), format!("Bearer {SECRET}\n")).expect("the file can be written");
        let up = TaskerUp::start_in(home, &[]);
        Self { user: ApiClient::register(&up.urls(), "ann").await, _up: up }
    }

    async fn run(&self, name: &str, ttl_ms: u64) -> Task {
        let id = self.user.submit(name, json!({}), ttl_ms).await;
        self.user.wait_until_ended(id).await
    }
}

async fn listen(address: Ipv4Addr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((address, 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("the listener has an address");
    (listener, address)
}

/// Accepts a connection and reads a request without a body. Returns its path, too.
async fn receive(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.expect("a client connects");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("the client sends a request"));
    }
    let head = String::from_utf8(head).expect("the request is text");
    let path = head.split(' ').nth(1).expect("a request has a path").to_owned();
    (stream, path)
}

/// Sends `beginning` and then a byte now and then, until the client has closed the connection. Without a beginning nothing is sent.
async fn drip_until_closed(listener: TcpListener, beginning: Option<&str>) {
    let (stream, _) = receive(&listener).await;
    let (mut reader, mut writer) = stream.into_split();
    let drip = async {
        let Some(beginning) = beginning else { return pending().await };
        let mut pauses = interval(DRIP_INTERVAL);
        let mut sent = writer.write_all(beginning.as_bytes()).await;
        while sent.is_ok() {
            pauses.tick().await;
            sent = writer.write_u8(b'1').await;
        }
    };
    // The client closes by the end of the stream or by a reset.
    let closed = async { while matches!(reader.read(&mut [0; 64]).await, Ok(1..)) {} };
    tokio::select! { () = drip => {}, () = closed => {} }
}

/// G9: the client closes the connection, and the task shows that its work has stopped.
#[tokio::test]
async fn a_server_that_does_not_finish_its_answer_is_left_at_the_deadline_of_the_task() {
    let servers = [
        ("SILENT", None),
        ("DRIPS_HEADERS", Some("HTTP/1.1 200 OK\r\nX-Drip: ")),
        ("DRIPS_BODY", Some("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")),
        ("DRIPS_ERROR", Some("HTTP/1.1 500 Broken\r\nContent-Length: 1000000\r\n\r\n")),
    ];
    let (mut operations, mut closed) = (Vec::new(), Vec::new());
    let tasks = TaskTracker::new();
    for (name, beginning) in servers {
        let (listener, address) = listen(Ipv4Addr::LOCALHOST).await;
        operations.push((name, format!("http://{address}/"), "allowed_networks = [\"127.0.0.1\"]"));
        closed.push(tasks.spawn(drip_until_closed(listener, beginning)));
    }
    let worker = CallingWorker::start(&operations).await;
    for ((name, ..), closed) in operations.iter().zip(closed) {
        let task = worker.run(name, TTL_MS).await;
        assert_eq!(task.reason, Some(Reason::TtlExpired), "{name}: {task:?}");
        let closed = timeout(MAX_WAIT, closed).await;
        closed
            .unwrap_or_else(|_| panic!("{name}: the connection is open"))
            .expect("the server has not panicked");
        let is_stopped = async || worker.user.read_task(task.id).await.stopped_date.is_some();
        wait_until(&format!("{name} shows when it has stopped"), is_stopped).await;
    }
}

#[tokio::test]
async fn a_redirect_to_an_address_that_is_not_listed_is_refused_before_a_connection_is_made() {
    let (outer, outer_address) = listen(Ipv4Addr::new(127, 0, 0, 2)).await;
    let (inner, inner_address) = listen(Ipv4Addr::LOCALHOST).await;
    let port = inner_address.port();
    let redirects = [
        ("LITERAL", format!("http://127.0.0.1:{port}/"), "the address 127.0.0.1 must not be called"),
        ("OTHER_SPELLING", format!("http://0x7f.1:{port}/"), "the address 127.0.0.1 must not be called"),
        ("IN_IPV6", format!("http://[::ffff:127.0.0.1]:{port}/"), "must not be called"),
        ("BY_NAME", format!("http://localhost:{port}/"), "must not be called"),
        (
            "METADATA",
            "http://169.254.169.254/latest".to_owned(),
            "the address 169.254.169.254 must not be called",
        ),
    ];
    let settings = "allowed_networks = [\"127.0.0.2\"], redirects = 3";
    let operations =
        redirects.each_ref().map(|(name, ..)| (*name, format!("http://{outer_address}/{name}"), settings));
    let worker = CallingWorker::start(&operations).await;
    for (name, location, expected) in &redirects {
        let redirect = async {
            let (mut stream, path) = receive(&outer).await;
            assert_eq!(path, format!("/{name}"));
            let answer =
                format!("HTTP/1.1 307 Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("the client reads the answer");
        };
        let (task, ()) = tokio::join!(worker.run(name, LONG_TTL_MS), redirect);
        assert_eq!(task.reason, Some(Reason::OperationFailed), "{name}: {task:?}");
        let error = task.error.unwrap_or_default();
        assert!(error.contains(expected), "{name}: {error}");
        assert!(inner.accept().now_or_never().is_none(), "{name}: the inner server was called");
    }
}

/// What the header of an operation holds, in a file.
const SECRET: &str = "x7Qk/zP2-secret";

#[tokio::test]
async fn a_secret_of_a_header_that_a_server_repeats_is_not_shown_to_the_owner_of_the_task() {
    let (listener, address) = listen(Ipv4Addr::LOCALHOST).await;
    let settings = "allowed_networks = [\"127.0.0.1\"], headers = { Authorization = { file = \"secret\" } }";
    let worker = CallingWorker::start(&[("ECHOES", format!("http://{address}/"), settings)]).await;
    let answer = async {
        let (mut stream, _) = receive(&listener).await;
        let body = format!("unknown: Bearer {SECRET}, {SECRET}");
        let answer = format!("HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.expect("the client reads the answer");
    };
    let (task, ()) = tokio::join!(worker.run("ECHOES", LONG_TTL_MS), answer);
    let error = task.error.unwrap_or_default();
    assert_eq!(error, "the server answered 403 Forbidden: unknown: [redacted], [redacted]");
}
