//! Traces at a collector: the spans of a task from its submission to its end, with and without Kafka, and outages of the
//! collector.

use domain::{Status, TaskId};
use serde_json::json;
use testkit::{CertificateAuthority, kafka_address};

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::command::{run, set_arguments, tasker_command};
use crate::kit::history_audit::count_grants;
use crate::kit::tasker_up::TaskerUp;
use crate::kit::trace_collector::{ReceivedSpan, TraceCollector};
use crate::kit::wait_until::wait_until;

/// The id of the trace in which the tests submit tasks.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The id of the caller's span, the parent of the submission.
const CALLER_SPAN_ID: &str = "00f067aa0ba902b7";

/// The value of the header that the collector expects.
const AUTHORIZATION: &str = "Bearer of-the-test";

/// The caller's `traceparent`, with the flags `01` (sampled) or `00`.
fn traceparent(flags: &str) -> String {
    format!("00-{TRACE_ID}-{CALLER_SPAN_ID}-{flags}")
}

fn settings(collector: &TraceCollector) -> Vec<String> {
    vec![
        format!("traces.endpoint={}", collector.endpoint),
        format!("traces.headers=authorization={AUTHORIZATION}"),
    ]
}

/// The spans from the root of the trace to `last`: each is the parent of the next one.
fn path_to<'a>(last: &'a ReceivedSpan, spans: &'a [ReceivedSpan]) -> Vec<&'a ReceivedSpan> {
    let mut path = vec![last];
    let is_parent = |span: &&ReceivedSpan, child: &ReceivedSpan| {
        span.trace_id == last.trace_id && span.id == child.parent_id
    };
    while let Some(parent) = spans.iter().find(|span| is_parent(span, path[0])) {
        path.insert(0, parent);
    }
    path
}

/// The service and the name of each span.
fn names<'a>(path: &[&'a ReceivedSpan]) -> Vec<(&'a str, &'a str)> {
    path.iter().map(|span| (span.service.as_str(), span.name.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_kafka_one_trace_leads_from_the_caller_to_finished() {
    let home = tempfile::tempdir().expect("a temporary directory can be created");
    let (authority, ca) = (CertificateAuthority::new(), home.path().join("ca.pem"));
    std::fs::write(&ca, authority.pem()).expect("a file");
    let collector = TraceCollector::start(AUTHORIZATION, Some(&authority.sign(&["127.0.0.1"]))).await;
    let mut settings = settings(&collector);
    settings.push(format!("traces.tls_ca={}", ca.display()));
    settings.extend(["worker.steal_after_ms=0", "metrics.listen=127.0.0.1:0"].map(str::to_owned));
    let config = ClusterConfig {
        backends: 1,
        workers: 1,
        slots: 4,
        kafka: Some(kafka_address()),
        settings,
        ..ClusterConfig::default()
    };
    let mut cluster = Cluster::start_with(config).await;
    let client = ApiClient::register(&cluster.urls(), "ann").await;
    // A worker claims by long poll until the first ticket has come.
    while count_grants(&mut cluster).await.by_ticket < 1.0 {
        client.submit_and_wait("ECHO", json!(null), 60_000).await;
    }
    let id = client.submit_traced("ECHO", json!({"a": 1}), 60_000, &traceparent("01")).await;
    assert_eq!(client.wait_until_ended(id).await.status, Status::Finished);
    // Services that stop send the spans that they still hold.
    cluster.stop();

    let spans = collector.spans();
    // A stopping worker also reports over HTTP what no heartbeat has confirmed: the task may have two spans `settle` then.
    let is_settled_by_kafka = |span: &&ReceivedSpan| {
        let parent = spans.iter().find(|other| other.id == span.parent_id);
        span.trace_id == TRACE_ID
            && span.name == "settle"
            && parent.is_some_and(|parent| parent.name.starts_with("publish"))
    };
    let path = path_to(spans.iter().find(is_settled_by_kafka).expect("a span of the settled result"), &spans);
    let publish_ticket = format!("publish {}.tasks.default", cluster.topic_prefix());
    let publish_result = format!("publish {}.results", cluster.topic_prefix());
    let expected = [
        ("tasker-backend", "POST /api/Task"),
        ("tasker-backend", &*publish_ticket),
        ("tasker-worker", "run ECHO"),
        ("tasker-worker", &*publish_result),
        ("tasker-backend", "settle"),
    ];
    assert_eq!(names(&path), expected);
    assert_eq!(path[0].parent_id, CALLER_SPAN_ID);
    assert_eq!(path[0].attribute("http.response.status_code").as_deref(), Some("201"));
    assert_eq!(path[2].attribute("tasker.task.id"), Some(id.to_string()));
    assert_eq!(path[4].attribute("tasker.task.status").as_deref(), Some("FINISHED"));
    assert!(!path.iter().any(|span| span.is_error), "{path:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_one_trace_leads_to_the_end_and_an_unsampled_trace_has_no_spans() {
    let collector = TraceCollector::start(AUTHORIZATION, None).await;
    let settings = settings(&collector);
    let up = TaskerUp::start_with(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let client = ApiClient::register(&up.urls(), "ann").await;
    let unsampled = client.submit_traced("ECHO", json!(null), 60_000, &traceparent("00")).await;
    client.wait_until_ended(unsampled).await;
    let finished = client.submit("ECHO", json!(null), 60_000).await;
    assert_eq!(client.wait_until_ended(finished).await.status, Status::Finished);
    let expired = client.submit("SLEEP", json!({"ms": 3_600_000}), 50).await;
    assert_eq!(client.wait_until_ended(expired).await.status, Status::Cancelled);
    client.get("/api/Task/").await;
    let (_, status) = up.stop();
    assert!(status.success());

    let spans = collector.spans();
    let span_of = |id: TaskId, name: &str| {
        let id = Some(id.to_string());
        spans.iter().find(|span| span.name == name && span.attribute("tasker.task.id") == id)
    };
    assert!(span_of(unsampled, "run ECHO").is_none());
    let path = |id, name| path_to(span_of(id, name).expect("the span was received"), &spans);
    let service = "tasker";
    let (finished, expired) = (path(finished, "settle"), path(expired, "run SLEEP"));
    assert_eq!(names(&finished), [(service, "POST /api/Task"), (service, "run ECHO"), (service, "settle")]);
    assert_eq!(names(&expired), [(service, "POST /api/Task"), (service, "run SLEEP")]);
    // The worker stops the run at the deadline, or since the Backend has ended the task, whichever is first.
    let end = expired[1].attribute("tasker.end");
    assert!(matches!(end.as_deref(), Some("out_of_time" | "stopped")), "{end:?}");
    assert!(expired[1].is_error);
    assert_eq!(spans.len(), 5, "a request that submits no task begins no trace: {spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_collector_delays_no_task() {
    let mut up = TaskerUp::start_with(&["traces.endpoint=http://127.0.0.1:1", "log.level=info"]);
    let client = ApiClient::register(&up.urls(), "ann").await;
    for _ in 0..3 {
        let task = client.submit_and_wait("ECHO", json!(1), 60_000).await;
        assert_eq!(task.status, Status::Finished);
    }
    up.process().stop();
    let line = up.process().output().iter().find(|line| line.contains("traces are not accepted by"));
    assert!(line.is_some_and(|line| line.contains("Connection refused")), "{line:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_collector_is_logged_when_it_begins_and_when_it_ends() {
    let collector = TraceCollector::start_unavailable(3, AUTHORIZATION, None).await;
    let mut settings = settings(&collector);
    settings.push("log.level=info".to_owned());
    let mut up = TaskerUp::start_with(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let client = ApiClient::register(&up.urls(), "ann").await;
    wait_until("the collector accepts a batch", async || {
        client.submit_and_wait("ECHO", json!(1), 60_000).await;
        !collector.spans().is_empty()
    })
    .await;
    up.process().wait_for_line("again");
    up.process().stop();
    let lines = up.process().output().iter().filter(|line| line.contains("traces ")).collect::<Vec<_>>();
    let [begin, end] = *lines else { panic!("{lines:#?}") };
    assert!(begin.contains("traces are not accepted by") && begin.contains("503"), "{begin}");
    assert!(end.contains("traces are accepted by"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_sends_the_collector_an_empty_batch() {
    let home = tempfile::tempdir().expect("a temporary directory can be created");
    let collector = TraceCollector::start(AUTHORIZATION, None).await;
    let check = |endpoint: &str| {
        let settings =
            [format!("traces.endpoint={endpoint}"), format!("traces.headers=authorization={AUTHORIZATION}")];
        let arguments = ["config", "check", "worker"].into_iter().chain(set_arguments(&settings));
        run(&mut tasker_command(home.path(), arguments)).stdout
    };
    let accepted = check(&collector.endpoint);
    assert!(accepted.contains("ok   traces.endpoint         the collector accepts traces"), "{accepted}");
    let not_found = check(&format!("{}/elsewhere", collector.endpoint));
    assert!(not_found.contains("BAD  traces.endpoint         the collector answers 404 "), "{not_found}");
    let unreachable = check("http://127.0.0.1:1");
    assert!(
        unreachable.contains("BAD  traces.endpoint  ") && unreachable.contains("Connection refused"),
        "{unreachable}"
    );
    assert!(!unreachable.contains("of-the-test"), "{unreachable}");
    assert!(collector.spans().is_empty());
}

#[test]
fn invalid_settings_of_traces_are_refused_without_showing_the_headers() {
    let home = tempfile::tempdir().expect("a temporary directory can be created");
    for (setting, rule) in [
        ("traces.sample=2", "from 0 to 1"),
        ("traces.endpoint=collector:4318", "http://"),
        ("traces.headers=hush-hush", "name=value"),
        ("traces.tls_ca=/nowhere/ca.pem", "cannot be read"),
    ] {
        let sets = ["--set", "traces.endpoint=http://127.0.0.1:1", "--set", setting];
        let output = run(&mut tasker_command(home.path(), ["up"].into_iter().chain(sets)));
        let key = setting.split_once('=').expect("a key and a value").0;
        assert_eq!(output.code, 2, "{setting}: {}", output.stderr);
        let stderr = output.stderr;
        assert!(stderr.contains(key) && stderr.contains(rule), "{setting}: {stderr}");
        assert!(!stderr.contains("hush"), "{stderr}");
    }
}
