//! What a listener does with clients that send too much, send nothing, or read nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::{MAX_WAIT, wait_until};

#[test]
fn a_body_that_does_not_arrive_is_answered_408() {
    let up = TaskerUp::start();
    let mut client = TcpStream::connect(up.identity_url.strip_prefix("http://").unwrap()).unwrap();
    let head = "POST /connect/token HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    client.write_all(format!("{head}content-length: 100\r\n\r\n").as_bytes()).unwrap();
    client.set_read_timeout(Some(MAX_WAIT)).unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).expect("the server closes the connection");
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.contains("the body of the request did not arrive within 8 s"), "{response}");
}

#[test]
fn a_connection_with_half_a_request_is_closed() {
    let up = TaskerUp::start();
    let mut connections = [&up.backend_url, &up.identity_url].map(|url| {
        let mut connection = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        connection.write_all(b"GET /api/Ta").unwrap();
        connection
    });
    for connection in &mut connections {
        connection.set_read_timeout(Some(MAX_WAIT)).unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).expect("the server closes the connection");
        assert!(!response.starts_with("HTTP/1.1 2"), "{response}");
    }
}

#[test]
fn one_network_has_a_limited_number_of_connections() {
    let up = TaskerUp::start_with(&["identity.max_connections_per_address=20"]);
    let address = up.identity_url.strip_prefix("http://").unwrap();
    let is_served = |connection: &mut TcpStream| {
        connection.set_read_timeout(Some(MAX_WAIT)).unwrap();
        // A refused connection may be closed before the request is written.
        let _ = connection.write_all(b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        connection.read_exact(&mut [0; 12]).is_ok()
    };
    // Each from an address of its own: all of 127.0.0.0/8 is one machine.
    let connect = |last| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, last], 0)).into()).unwrap();
        socket.connect(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        TcpStream::from(socket)
    };
    let mut connections: Vec<TcpStream> = (1..=21).map(connect).collect();
    let served = connections.iter_mut().map(is_served).filter(|is_served| *is_served).count();
    // The Backend and the worker have connections of their own.
    assert!((10..=20).contains(&served), "{served} of 21 connections were served");
}

/// Whether the process with this id has a connection with `client`.
fn has_connection(process: u32, client: &TcpStream) -> bool {
    let hex = |address: SocketAddr| format!(":{:04X} ", address.port());
    let (local, remote) = (hex(client.peer_addr().unwrap()), hex(client.local_addr().unwrap()));
    let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    table.lines().any(|line| {
        let addresses = line.find(&local).zip(line.find(&remote));
        addresses.is_some_and(|(local, remote)| local < remote)
    })
}

#[tokio::test]
async fn a_client_that_reads_no_answer_is_disconnected() {
    let mut up = TaskerUp::start();
    let process = up.process().id();
    let pages = [(&up.backend_url, "/swagger-ui-bundle.js"), (&up.identity_url, "/Auth/Login")];
    let clients = pages.map(|(url, path)| {
        let mut client = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        let requests = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").repeat(1000);
        // Answers are written until nobody takes them; then requests are not read any more.
        while client.write_all(requests.as_bytes()).is_ok() {}
        client
    });
    assert!(clients.iter().all(|client| has_connection(process, client)));
    let is_alone = async || !clients.iter().any(|client| has_connection(process, client));
    wait_until("the connections are closed", is_alone).await;
}

#[test]
fn a_large_head_is_refused() {
    let up = TaskerUp::start();
    for url in [&up.backend_url, &up.identity_url] {
        for (head, status) in [
            (format!("x-large: {}\r\n", "x".repeat(60_000)), "200"),
            (format!("x-large: {}\r\n", "x".repeat(70_000)), "431"),
            ("x-many: 1\r\n".repeat(101), "431"),
        ] {
            let mut client = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
            client.set_read_timeout(Some(MAX_WAIT)).unwrap();
            write!(client, "GET /health/live HTTP/1.1\r\nhost: localhost\r\n{head}\r\n").unwrap();
            let mut line = [0; 12];
            client.read_exact(&mut line).unwrap();
            assert_eq!(String::from_utf8_lossy(&line), format!("HTTP/1.1 {status}"), "{url}");
        }
    }
}
