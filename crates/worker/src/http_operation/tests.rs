//! Calls to real servers of this machine, which a test answers by hand.

use std::net::Ipv4Addr;
use std::path::Path;

use domain::{ClaimId, Grant, RawJson, RetryHint, TaskId, TraceContext};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::http_operation::call::HttpOperation;
use crate::http_operation::test_server::{Server, bounded, wait_until_closed};
use crate::output_format::OutputFormat;
use crate::reporting::progress_reporter::ProgressQueue;
use crate::sdk::context::Context;
use crate::sdk::operation::Failure;

/// A time to live that no test reaches.
const LONG_MS: u64 = 600_000;

/// A time to live for tests that wait for its end.
const SHORT_MS: u64 = 100;

fn operation(settings: Value) -> Result<HttpOperation, String> {
    HttpOperation::new(&serde_json::from_value(settings).unwrap(), Path::new("/"))
}

/// An operation that calls `url` and may reach 127.0.0.1.
fn local(url: &str) -> HttpOperation {
    operation(json!({ "url": url, "allowed_networks": ["127.0.0.1"] })).unwrap()
}

fn context(remaining_ms: u64) -> Context {
    let grant = Grant {
        id: TaskId(uuid::Uuid::from_u128(7)),
        type_name: "CALL".parse().unwrap(),
        parameters: None,
        attempt: 3,
        claim: ClaimId::random(),
        remaining_ms,
        trace: None,
    };
    let deadline = Deadline::of(SuspendAwareInstant::now(), 0, remaining_ms);
    let trace = TraceContext::of(1, 2, true);
    Context::new(&grant, deadline, CancellationToken::new(), trace, ProgressQueue::default())
}

/// Calls with the parameters `{"n":1}`.
async fn call(operation: &HttpOperation, output: OutputFormat) -> Result<RawJson, Failure> {
    let parameters = RawJson::parse(r#"{"n":1}"#.to_owned()).unwrap();
    bounded("the call ends", operation.call(&parameters, &context(LONG_MS), output)).await
}

/// The result or failure of a call that a server answers with `status`, `headers` and `body`.
async fn called(status: &str, headers: &str, body: &str, output: OutputFormat) -> Result<String, Failure> {
    let server = Server::start().await;
    let operation = local(&server.url());
    let (_, result) = tokio::join!(server.answer(status, headers, body), call(&operation, output));
    result.map(String::from)
}

fn assert_permanent(result: Result<impl std::fmt::Debug, Failure>, part: &str) {
    let failure = result.unwrap_err();
    assert_eq!(failure.retry_hint(), Some(RetryHint::Never), "{failure}");
    assert!(failure.to_string().contains(part), "{failure}");
}

#[tokio::test]
async fn the_parameters_are_the_body_and_the_answer_is_the_result() {
    let server = Server::start().await;
    let settings = json!({ "url": server.url(), "allowed_networks": ["127.0.0.0/8"], "headers": { "Accept": "text/json" } });
    let operation = operation(settings).unwrap();
    let answer = server.answer("201 Created", "", " {\"a\": 1e2} ");
    let ((head, body), result) = tokio::join!(answer, call(&operation, OutputFormat::Json));
    assert_eq!(result.unwrap().text(), "{\"a\": 1e2}");
    assert_eq!(body, r#"{"n":1}"#);
    assert!(head.starts_with("post /run http/1.1\r\n"), "{head}");
    let task = uuid::Uuid::from_u128(7);
    for header in [
        "accept: text/json",
        "content-type: application/json",
        "tasker-attempt: 3",
        "traceparent: 00-00000000000000000000000000000001-0000000000000002-01",
        &format!("host: {}", server.address()),
        &format!("idempotency-key: {task}"),
        &format!("tasker-task-id: {task}"),
        &format!("user-agent: tasker/{}", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(head.lines().filter(|line| *line == header).count(), 1, "{header} in {head}");
    }
    let left = head.split_once("tasker-deadline-ms: ").unwrap().1.lines().next().unwrap();
    assert!((1..=LONG_MS).contains(&left.parse().unwrap()), "{left}");
}

#[tokio::test]
async fn a_get_has_its_parameters_in_the_query_and_no_body() {
    let server = Server::start().await;
    let settings = json!({ "url": server.url(), "method": "GET", "allowed_networks": ["127.0.0.1"] });
    let operation = operation(settings).unwrap();
    let ((head, body), _) =
        tokio::join!(server.answer("200 OK", "", "1"), call(&operation, OutputFormat::Json));
    assert!(head.starts_with("get /run?n=1 http/1.1\r\n"), "{head}");
    assert!(!head.contains("content-type") && body.is_empty(), "{head}");
}

#[tokio::test]
async fn answers_become_results_by_the_format_of_the_output() {
    for (body, output, expected) in [
        ("", OutputFormat::Json, "null"),
        ("\n", OutputFormat::Json, "null"),
        ("[1]", OutputFormat::Json, "[1]"),
        ("", OutputFormat::Text, "\"\""),
        ("a \"b\"\n", OutputFormat::Text, "\"a \\\"b\\\"\\n\""),
    ] {
        assert_eq!(called("200 OK", "", body, output).await.unwrap(), expected, "{body:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_a_permanent_failure() {
    assert_permanent(called("200 OK", "", "<html>", OutputFormat::Json).await, "not JSON");
}

#[tokio::test]
async fn an_answer_that_is_not_utf_8_is_a_permanent_failure() {
    let server = Server::start().await;
    let operation = local(&server.url());
    let answer = async {
        let mut received = server.receive().await;
        received.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\xff").await.unwrap();
    };
    let ((), result) = tokio::join!(answer, call(&operation, OutputFormat::Text));
    assert_permanent(result, "UTF-8");
}

#[tokio::test]
async fn a_body_of_the_largest_size_is_read_and_a_larger_one_is_not() {
    let server = Server::start().await;
    let settings = json!({ "url": server.url(), "allowed_networks": ["127.0.0.1"], "max_result_bytes": 4 });
    let operation = operation(settings).unwrap();
    let (_, result) = tokio::join!(server.answer("200 OK", "", "1234"), call(&operation, OutputFormat::Json));
    assert_eq!(result.unwrap().text(), "1234");
    let (_, result) =
        tokio::join!(server.answer("200 OK", "", "12345"), call(&operation, OutputFormat::Json));
    assert_permanent(result, "exceeds 4 bytes, the limit http.max_result_bytes");
    // Without a length the limit shows only while the body streams, which never ends here.
    let endless = async {
        let mut received = server.receive().await;
        received.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        bounded("the client closes the connection", async {
            while received.stream.write_all(b"1").await.is_ok() {}
        })
        .await;
    };
    let ((), result) = tokio::join!(endless, call(&operation, OutputFormat::Json));
    assert_permanent(result, "exceeds 4 bytes");
}

#[tokio::test]
async fn the_connection_is_closed_when_the_future_is_dropped() {
    let server = Server::start().await;
    let operation = local(&server.url());
    let mut received = tokio::select! {
        received = server.receive() => received,
        result = call(&operation, OutputFormat::Json) => panic!("nobody has answered: {result:?}"),
    };
    wait_until_closed(&mut received.stream).await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_at_the_deadline() {
    let server = Server::start().await;
    let operation = local(&server.url());
    let silent = async { wait_until_closed(&mut server.accept().await).await };
    let (parameters, context) = (RawJson::of(&1).unwrap(), context(SHORT_MS));
    let ((), result) = tokio::join!(silent, operation.call(&parameters, &context, OutputFormat::Json));
    assert!(result.unwrap_err().to_string().contains("deadline"));
}

#[tokio::test]
async fn a_server_that_drips_its_answer_is_left_at_the_deadline() {
    let server = Server::start().await;
    let operation = local(&server.url());
    let dripping = async {
        let mut stream = server.accept().await;
        stream.set_nodelay(true).unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let mut bytes =
            b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".iter().chain(std::iter::repeat(&b'1'));
        let drip = async {
            while stream.write_u8(*bytes.next().unwrap()).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        bounded("the client closes the connection", drip).await;
    };
    let (parameters, context) = (RawJson::of(&1).unwrap(), context(SHORT_MS));
    let ((), result) = tokio::join!(dripping, operation.call(&parameters, &context, OutputFormat::Json));
    assert!(result.unwrap_err().to_string().contains("deadline"));
}

#[tokio::test]
async fn a_busy_server_is_tried_again_after_the_pause_that_it_asks_for() {
    let failure = called("503 Busy", "retry-after: 7\r\n", "a\r\n\u{1b}b\u{202e}c", OutputFormat::Json)
        .await
        .unwrap_err();
    assert_eq!(failure.retry_hint(), Some(RetryHint::AfterMs(7000)));
    assert_eq!(failure.to_string(), "the server answered 503 Service Unavailable: a   b c");
    for status in ["408", "425", "429", "500", "502", "503", "504"] {
        let failure = called(status, "", "", OutputFormat::Json).await.unwrap_err();
        assert_eq!(failure.retry_hint(), None, "{failure}");
    }
}

#[tokio::test]
async fn a_refused_request_is_not_tried_again() {
    for status in ["400", "401", "404", "409", "422", "300", "304", "501"] {
        let result = called(status, "retry-after: 7\r\n", "", OutputFormat::Json).await;
        assert_permanent(result, &format!("the server answered {status}"));
    }
    let found = called("302 Found", "location: /elsewhere\r\n", "", OutputFormat::Json).await;
    assert_permanent(found, "the server answered 302 Found");
}

#[tokio::test]
async fn a_secret_that_a_server_repeats_is_not_shown() {
    let server = Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), "Bearer zq9-secret\n").unwrap();
    let headers = json!({ "Authorization": { "file": "key" } });
    let settings = json!({ "url": server.url(), "headers": headers, "allowed_networks": ["127.0.0.1"] });
    let operation = HttpOperation::new(&serde_json::from_value(settings).unwrap(), directory.path()).unwrap();
    // The second one begins before the end of what is shown.
    let body = format!("zq9-secret is not known{}zq9-secret", " ".repeat(2048 - 23 - 5));
    let ((head, _), result) =
        tokio::join!(server.answer("401", "", &body), call(&operation, OutputFormat::Json));
    assert!(head.contains("authorization: bearer zq9-secret"), "{head}");
    let text = result.unwrap_err().to_string();
    assert!(text.contains("401") && text.contains("[redacted] is not known"), "{text}");
    assert!(!text.contains("zq9-s"), "{text}");
}

#[tokio::test]
async fn the_body_of_an_error_is_cut() {
    let failure = called("400", "", &"x".repeat(5000), OutputFormat::Json).await.unwrap_err();
    assert_eq!(failure.to_string().matches('x').count(), 2048);
}

#[tokio::test]
async fn a_connection_that_fails_is_tried_again_and_no_query_is_shown() {
    let server = Server::start().await;
    let operation = local(&format!("{}?key=secret", server.url()));
    drop(server);
    let failure = call(&operation, OutputFormat::Json).await.unwrap_err();
    assert_eq!(failure.retry_hint(), None);
    let text = failure.to_string();
    assert!(text.contains("refused") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_or_name_is_not_followed() {
    // 127.0.0.2 is allowed here; what localhost resolves to is not.
    let server = Server::start_at(Ipv4Addr::new(127, 0, 0, 2)).await;
    let settings = json!({ "url": server.url(), "allowed_networks": ["127.0.0.2/32"], "redirects": 3 });
    let operation = operation(settings).unwrap();
    for (host, part) in [("127.0.0.1", "the address 127.0.0.1 must not be called"), ("localhost", "loopback")]
    {
        let target = Server::start().await;
        let location = format!("location: http://{host}:{}/\r\n", target.address().port());
        let (_, result) = tokio::join!(
            server.answer("307 Temporary Redirect", &location, ""),
            call(&operation, OutputFormat::Json)
        );
        assert_permanent(result, part);
    }
}

#[tokio::test]
async fn a_name_of_this_machine_is_refused_unless_its_address_is_listed() {
    let server = Server::start().await;
    let url = format!("http://localhost:{}/", server.address().port());
    let refused = operation(json!({ "url": url })).unwrap();
    assert_permanent(call(&refused, OutputFormat::Json).await, "loopback");
    let listed = local(&url);
    let (_, result) = tokio::join!(server.answer("200 OK", "", "1"), call(&listed, OutputFormat::Json));
    assert_eq!(result.unwrap().text(), "1");
}

#[tokio::test]
async fn secrets_of_files_stay_at_their_origin() {
    let (first, second) = (Server::start().await, Server::start().await);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("key"), "of news\n").unwrap();
    let headers = json!({ "X-Key": { "file": "key" }, "Authorization": "Bearer x" });
    let settings =
        json!({ "url": first.url(), "headers": headers, "allowed_networks": ["127.0.0.1"], "redirects": 2 });
    let operation = HttpOperation::new(&serde_json::from_value(settings).unwrap(), directory.path()).unwrap();
    let elsewhere = format!("location: {}\r\n", second.url());
    let servers = async {
        let (begin, _) = first.answer("307 Temporary Redirect", "location: /next\r\n", "").await;
        let (next, _) = first.answer("307 Temporary Redirect", &elsewhere, "").await;
        let (end, body) = second.answer("200 OK", "", "1").await;
        (begin, next, end, body)
    };
    let ((begin, next, end, body), result) = tokio::join!(servers, call(&operation, OutputFormat::Json));
    assert_eq!(result.unwrap().text(), "1");
    for head in [begin, next] {
        assert!(head.contains("x-key: of news\r\n") && head.contains("authorization: bearer x"), "{head}");
    }
    assert!(!end.contains("x-key") && !end.contains("authorization"), "{end}");
    assert!(end.contains("tasker-task-id: ") && body == r#"{"n":1}"#, "{end}");
}

#[tokio::test]
async fn redirects_beyond_the_limit_are_not_followed() {
    let server = Server::start().await;
    let settings = json!({ "url": server.url(), "allowed_networks": ["127.0.0.1"], "redirects": 1 });
    let operation = operation(settings).unwrap();
    let servers = async {
        for _ in 0..2 {
            server.answer("302 Found", "location: /run\r\n", "").await;
        }
    };
    let ((), result) = tokio::join!(servers, call(&operation, OutputFormat::Json));
    assert_permanent(result, "302 Found");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let url = "https://example.org/";
    for (settings, part) in [
        (json!({ "url": "example.org" }), "http.url: "),
        (json!({ "url": "http://127.0.0.1/" }), "http.url: the address 127.0.0.1 must not be called"),
        (json!({ "url": "http://user:word@example.org/" }), "http.url: it must hold no user name"),
        (json!({ "url": url, "redirects": 11 }), "http.redirects: 11"),
        (json!({ "url": url, "max_result_bytes": 0 }), "http.max_result_bytes: 0"),
        (json!({ "url": url, "headers": { "Host": "x" } }), "http.headers.Host: "),
    ] {
        let error = operation(settings).err().unwrap();
        assert!(error.starts_with(part), "{error}");
    }
}
