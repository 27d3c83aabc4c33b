//! `tasker up`: what it prints, what it keeps, and how it stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::kit::process::{Up, run, tasker};

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it exists").permissions().mode() & 0o777
}

#[test]
fn it_says_where_everything_is_and_keeps_its_data_to_itself() {
    let mut up = Up::start();
    let printed = up.process().seen().join("\n");
    let beginnings =
        ["Backend:    http://127.0.0.1:", "Identity:   http://127.0.0.1:", "Setup link: http://127.0.0.1:"];
    for beginning in beginnings {
        assert!(printed.contains(beginning), "{beginning}: {printed}");
    }
    let data = up.home().join(".tasker");
    assert_eq!(mode(&data), 0o700);
    for secret in ["local.secret", "identity.key"] {
        assert_eq!(mode(&data.join(secret)), 0o600, "{secret}");
    }
    assert!(up.stop().1.success());
}

#[test]
fn a_second_one_on_the_same_data_is_refused() {
    let up = Up::start();
    let second = run(&mut tasker(
        up.home(),
        ["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"],
    ));
    assert_eq!(second.code, 1);
    assert!(second.err.starts_with("error: another `tasker up` runs on ./.tasker"), "{}", second.err);
}

#[test]
fn what_runs_is_finished_before_it_stops_and_the_next_start_knows_it() {
    let up = Up::start();
    let id = up.ask(["submit", "GENERATE_LOGIN", "--ttl", "30s"]).out;
    while up.ask(["get", &id]).out.contains("CREATED") {}
    let (home, status) = up.stop();
    assert!(status.success());

    let up = Up::start_in(home, &[]);
    assert!(up.ask(["get", &id]).out.contains("FINISHED"));
    assert_eq!(up.ask(["result", &id]).out.len(), "\"tencharact\"".len());
}

#[test]
fn what_does_not_end_is_handed_back_within_the_drain() {
    let home = tempfile::tempdir().unwrap();
    let up = Up::start_in(home, &["worker.drain_ms=100"]);
    let id = up.ask(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).out;
    while up.ask(["get", &id]).out.contains("CREATED") {}
    let (home, status) = up.stop();
    assert!(status.success());

    let up = Up::start_in(home, &[]);
    let task = up.ask(["get", &id, "-o", "json"]).out;
    let task: serde_json::Value = serde_json::from_str(&task).unwrap();
    assert_eq!(task["endDate"], serde_json::Value::Null, "{task}");
    assert_eq!(up.ask(["cancel", &id]).code, 0);
}

#[test]
fn a_second_signal_cuts_everything_off() {
    let mut up = Up::start_in(tempfile::tempdir().unwrap(), &["log.level=info"]);
    let id = up.ask(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).out;
    while up.ask(["get", &id]).out.contains("CREATED") {}
    up.process().terminate();
    up.process().after("stopping:");
    up.process().terminate();
    assert_eq!(up.process().ended().code(), Some(1));
    assert!(up.process().seen().contains(&"error: interrupted by a second signal".to_owned()));
}

#[test]
fn a_client_that_never_finishes_its_request_cannot_hold_it() {
    let mut up = Up::start();
    let mut client = TcpStream::connect(up.identity.strip_prefix("http://").unwrap()).unwrap();
    let head =
        "POST /connect/token HTTP/1.1\r\nhost: id\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    client.write_all(format!("{head}content-length: 100\r\n\r\n").as_bytes()).unwrap();
    // Served after the client was accepted: connections are accepted in their order.
    assert_eq!(up.ask(["list"]).code, 0);
    up.process().terminate();
    assert!(up.process().ended().success());
    assert!(up.process().seen().iter().any(|line| line.contains("closed the connections")));
}

#[test]
fn a_log_for_machines_is_one_object_a_line() {
    let home = tempfile::tempdir().unwrap();
    let mut up = Up::start_in(home, &["log.level=info", "log.format=json"]);
    up.process().terminate();
    assert!(up.process().ended().success());
    let printed = ["Backend:", "Identity:", "Setup link:", "Ready."];
    let is_printed = |line: &&String| printed.iter().any(|beginning| line.starts_with(beginning));
    let mut logged = up.process().seen().iter().filter(|line| !is_printed(line)).peekable();
    assert!(logged.peek().is_some());
    for line in logged {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(event["message"].is_string() && event["level"].is_string(), "{line}");
    }
}

#[test]
fn half_a_request_does_not_keep_a_connection() {
    let up = Up::start();
    let mut connections = [&up.backend, &up.identity].map(|address| {
        let mut connection = TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
        connection.write_all(b"GET /api/Ta").unwrap();
        connection
    });
    for connection in &mut connections {
        connection.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("the server ends it");
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
}

#[test]
fn the_largest_parameters_and_results_are_settings() {
    let up = Up::start_with(&["backend.max_parameters_bytes=60", "backend.max_result_bytes=20"]);
    let submit = |text: &str| up.ask(["submit", "ECHO", &format!("{text:?}"), "--ttl", "30s", "--wait"]);
    assert_eq!(submit("short").code, 0);
    let large_result = submit("a result of more than twenty bytes");
    assert_eq!(large_result.code, 5, "{}", large_result.err);
    assert!(large_result.err.contains("at most 20 are kept"), "{}", large_result.err);
    let large_parameters = submit(&"x".repeat(60));
    assert_eq!(large_parameters.code, 1, "{}", large_parameters.err);
    assert!(large_parameters.err.contains("60"), "{}", large_parameters.err);
}
