//! The hosts that a request to a listener may name: a web page whose name was made to lead to Tasker (DNS rebinding) gets nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::kit::api_client::PASSWORD;
use crate::kit::tasker_up::TaskerUp;

/// Sends a request with these lines after the first one to the service at `url`, and returns the status and the body.
fn send(url: &str, first_line: &str, headers: &str, body: &str) -> (u16, String) {
    let mut connection = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let length = body.len();
    let form = "Content-Type: application/x-www-form-urlencoded";
    let head = format!("{first_line}\r\n{headers}Connection: close\r\n{form}\r\nContent-Length: {length}");
    write!(connection, "{head}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get(url: &str, path: &str, headers: &str) -> (u16, String) {
    send(url, &format!("GET {path} HTTP/1.1"), headers, "")
}

#[test]
fn every_listener_refuses_the_name_of_another_host_and_says_where_to_add_it() {
    let mut up = TaskerUp::start_with(&["metrics.listen=127.0.0.1:0", "log.level=info,audit=off"]);
    let (backend, identity, metrics) =
        (up.backend_url.clone(), up.identity_url.clone(), up.process().metrics_url());
    for (url, path, setting) in [
        (&backend, "/health/live", "backend.allowed_hosts"),
        (&backend, "/api/Task", "backend.allowed_hosts"),
        (&identity, "/Auth/Register", "identity.allowed_hosts"),
        (&identity, "/.well-known/openid-configuration", "identity.allowed_hosts"),
        (&metrics, "/metrics", "metrics.allowed_hosts"),
    ] {
        let (status, body) = get(url, path, "Host: evil.example\r\n");
        assert_eq!(status, 421, "{path}: {body}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["type"], "/errors/misdirected");
        assert!(problem["detail"].as_str().unwrap().contains(setting), "{problem}");
        for headers in ["", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", "Host: \r\n"] {
            assert_eq!(get(url, path, headers).0, 400, "{path} {headers:?}");
        }
        for host in ["127.0.0.1", "localhost:8080", "tasker.localhost", "10.9.8.7:80", "[::1]"] {
            let (status, body) = get(url, path, &format!("Host: {host}\r\n"));
            assert!(status == 200 || status == 401, "{path} {host}: {body}");
        }
    }
    for setting in ["backend", "identity", "metrics"] {
        up.process().wait_for_line(&format!("{setting}.allowed_hosts does not have that name"));
    }
    up.process().stop();
    let warnings = up.process().count_lines("does not have that name");
    assert_eq!(warnings, 3, "each listener warns once: {:?}", up.process().output());
}

/// Such a target is for proxies (RFC 9112, section 3.2.3).
#[test]
fn a_target_that_is_only_a_host_and_a_port_is_refused() {
    let mut up = TaskerUp::start_with(&["metrics.listen=127.0.0.1:0", "log.level=info,audit=off"]);
    let urls = [up.backend_url.clone(), up.identity_url.clone(), up.process().metrics_url()];
    for (url, method) in urls.iter().flat_map(|url| [(url, "GET"), (url, "POST"), (url, "CONNECT")]) {
        let (status, body) = send(url, &format!("{method} localhost:1 HTTP/1.1"), "Host: localhost\r\n", "");
        assert_eq!(status, 400, "{method} {url}: {body}");
        assert!(body.contains("the target of the request is neither a path nor a URL"), "{method}: {body}");
    }
    up.process().stop();
    assert_eq!(up.process().count_lines("panic"), 0, "{:?}", up.process().output());
}

/// A page that has been rebound is of the same origin as the service, by its own name.
#[test]
fn a_rebound_page_can_neither_register_nor_get_a_token() {
    let up = TaskerUp::start();
    let headers = "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n";
    let account = format!("Username=eve&Password={PASSWORD}&ConfirmPassword={PASSWORD}");
    let (status, body) = send(&up.identity_url, "POST /Auth/Register HTTP/1.1", headers, &account);
    assert_eq!(status, 421, "{body}");
    let grant = "grant_type=password&username=eve&password=x&client_id=tasker_backend";
    assert_eq!(send(&up.identity_url, "POST /connect/token HTTP/1.1", headers, grant).0, 421);
    assert_eq!(send(&up.backend_url, "POST /api/Task HTTP/1.1", headers, "").0, 421);
}

#[test]
fn names_of_the_settings_and_the_host_of_the_issuer_are_served() {
    let up = TaskerUp::start_with(&[
        "identity.issuer=http://id.example.org:8081",
        r#"identity.allowed_hosts=["accounts.example.org"]"#,
        r#"backend.allowed_hosts=["*.example.com"]"#,
    ]);
    let status = |url: &str, host: &str| get(url, "/health/live", &format!("Host: {host}\r\n")).0;
    assert_eq!(status(&up.identity_url, "id.example.org"), 200);
    assert_eq!(status(&up.identity_url, "accounts.example.org:81"), 200);
    assert_eq!(status(&up.identity_url, "tasker.example.com"), 421);
    assert_eq!(status(&up.backend_url, "tasker.example.com"), 200);
    assert_eq!(status(&up.backend_url, "id.example.org"), 200, "both services may share a host name");
    assert_eq!(status(&up.backend_url, "accounts.example.org"), 421);
}
