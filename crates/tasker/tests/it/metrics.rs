//! The metrics endpoint: what a scrape shows after real work, in every service, and which values never become labels.

use serde_json::json;
use testkit::{kafka_address, unique_prefix};

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::command::{run, tasker_command};
use crate::kit::metrics::Scrape;
use crate::kit::tasker_up::TaskerUp;

#[tokio::test]
async fn work_is_counted_and_no_name_or_id_of_a_user_is_a_label() {
    let mut up = TaskerUp::start_with(&["metrics.listen=127.0.0.1:0", "log.level=info,audit=off"]);
    let url = up.process().metrics_url();
    let root = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
    let ann = ApiClient::register(&up.urls(), "ann").await;
    for n in 0..3 {
        ann.submit_and_wait("ECHO", json!({ "n": n }), 60_000).await;
    }
    let expired = ann.submit_and_wait("SLEEP", json!({"ms": 60_000}), 100).await;
    let cancelled = ann.submit("SLEEP", json!({"ms": 60_000}), 60_000).await;
    ann.cancel(cancelled).await;
    ann.get("/api/Task/not-an-id").await;
    let unknown_method = reqwest::Method::from_bytes(b"ODDITY").expect("any token is a method");
    let request = reqwest::Client::new().request(unknown_method, format!("{}/api/Task", up.backend_url));
    request.send().await.expect("the Backend answers");
    name_an_unregistered_type(root.token(), &up.backend_url).await;
    let scrape = Scrape::wait_until(&url, "the slots are sampled, and a run has ended", |scrape| {
        scrape.sum_is("tasker_registered_worker_slots", &[r#"type="ECHO""#], 9.0)
            && scrape.sum("tasker_worker_runs_total", &[r#"type="SLEEP""#]) >= 1.0
    })
    .await;
    for (name, labels, value) in [
        ("tasker_tasks_accepted_total", &[][..], 5.0),
        ("tasker_tasks_ended_total", &[r#"status="FINISHED""#], 3.0),
        ("tasker_tasks_ended_total", &[r#"reason="TTL_EXPIRED""#], 1.0),
        ("tasker_tasks_ended_total", &[r#"reason="REQUESTED""#], 1.0),
        ("tasker_cancellation_lateness_seconds_count", &[], 1.0),
        ("tasker_worker_runs_total", &[r#"type="ECHO""#, r#"end="result""#], 3.0),
        ("tasker_worker_run_seconds_count", &[r#"type="ECHO""#], 3.0),
        ("tasker_worker_slots", &[], 8.0),
        ("tasker_http_request_seconds_count", &[r#"route="/api/Task/{id}""#, r#"status="400""#], 1.0),
        ("tasker_build_info", &[], 1.0),
    ] {
        assert!(scrape.sum_is(name, labels, value), "{name} {labels:?}: {scrape:#?}");
    }
    assert!(scrape.sum("tasker_tokens_total", &[r#"grant="password""#]) >= 1.0);
    assert!(scrape.sum("tasker_sign_ins_total", &[r#"outcome="accepted""#]) >= 1.0);
    assert!(scrape.sum("tasker_password_hash_seconds_count", &[]) >= 2.0);
    assert!(scrape.sum("tasker_statement_seconds_count", &[r#"verb="settle""#]) >= 1.0);
    assert!(scrape.sum("process_resident_memory_bytes", &[]) > 1e6);
    for private in
        ["ann", "ODDITY", "NOT_REGISTERED", &expired.id.to_string(), &cancelled.to_string(), "not-an-id"]
    {
        let found = scrape.series().find(|series| series.contains(private));
        assert!(found.is_none(), "{private} is a part of {found:?}");
    }
}

/// Sends a heartbeat of a worker with one slot that runs ECHO and a type that nobody has registered.
async fn name_an_unregistered_type(token: &str, backend_url: &str) {
    let heartbeat = json!({"worker": "w", "instance": uuid::Uuid::new_v4(), "slots": 1, "types": ["ECHO", "NOT_REGISTERED"], "running": []});
    let request =
        reqwest::Client::new().post(format!("{backend_url}/api/Worker/heartbeat")).bearer_auth(token);
    let answer = request.json(&heartbeat).send().await.expect("the Backend answers");
    assert_eq!(answer.status(), reqwest::StatusCode::OK);
}

#[tokio::test]
async fn every_service_has_its_own_metrics() {
    let settings = vec!["metrics.listen=127.0.0.1:0".to_owned()];
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
    let running = client.submit("SLEEP", json!({"ms": 60_000}), 600_000).await;
    client.submit_and_wait("ECHO", json!({"a": 1}), 60_000).await;
    let (backends, workers) = (cluster.backend_metrics_urls(), cluster.worker_metrics_urls());
    let scrape = Scrape::wait_until(&backends[0], "the database is sampled", |scrape| {
        scrape.sum_is("tasker_tasks_running", &[r#"type="SLEEP""#], 1.0)
            && scrape.sum_is("tasker_kafka_up", &[], 1.0)
    })
    .await;
    assert!(
        scrape.series().any(|series| series == "tasker_database_unfinished_task_dead_rows"),
        "{scrape:#?}"
    );
    assert!(scrape.sum("tasker_database_clock_offset_seconds", &[]).abs() < 5.0);
    assert!(
        !scrape.series().any(|series| series.starts_with("tasker_worker_runs")),
        "a Backend has no metrics of a worker: {scrape:#?}"
    );
    let is_busy = |scrape: &Scrape| scrape.sum_is("tasker_worker_slots_busy", &[], 1.0);
    let scrape = Scrape::wait_until(&workers[0], "one slot of the worker is busy", is_busy).await;
    assert!(scrape.sum_is("tasker_worker_runs_total", &[r#"type="ECHO""#], 1.0));
    client.cancel(running).await;
    cluster.stop();
}

/// The counters that the book lists and whose labels are known before the first event.
fn counters_of_the_book() -> impl Iterator<Item = &'static str> {
    let rows = include_str!("../../../../docs/metrics.md").lines().filter(|row| row.contains("| counter |"));
    let names = rows.map(|row| row.split('`').nth(1).expect("the first column is a name"));
    names.filter(|name| *name != "tasker_kafka_publish_failures_total")
}

/// The counters that alert rules name, each with its labels: `tasker_tasks_ended_total{reason="WORKER_LOST"}`. A label that may have
/// several values stands once for each of them.
fn counters_of_alerts() -> Vec<(String, Option<String>)> {
    let mut counters = Vec::new();
    for part in include_str!("../../../../deploy/prometheus/alerts.yaml").split("tasker_").skip(1) {
        let end = part
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .expect("an expression goes on after a name");
        let (name, rest) = (format!("tasker_{}", &part[..end]), &part[end..]);
        let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(labels, _)| labels);
        match labels.and_then(|labels| labels.split_once('=')) {
            _ if !name.ends_with("_total") => {}
            None => counters.push((name, None)),
            Some((label, values)) => {
                let values = values.trim_matches(['~', '"']).split('|');
                counters.extend(values.map(|value| (name.clone(), Some(format!("{label}=\"{value}\"")))));
            }
        }
    }
    counters
}

#[tokio::test]
async fn every_counter_of_an_alert_starts_at_0() {
    let settings = [
        "metrics.listen=127.0.0.1:0",
        "log.level=info,audit=off",
        &format!("kafka.bootstrap_servers={}", kafka_address()),
        &format!("kafka.topic_prefix={}", unique_prefix()),
    ];
    let mut up = TaskerUp::start_with(&settings);
    let url = up.process().metrics_url();
    let is_started = |scrape: &Scrape| scrape.sum_is("tasker_worker_slots", &[], 8.0);
    let scrape = Scrape::wait_until(&url, "the worker has started", is_started).await;
    for name in counters_of_the_book() {
        let exists = scrape.series().any(|series| series.split('{').next() == Some(name));
        assert!(exists, "{name}: {scrape:#?}");
    }
    let alerts = counters_of_alerts();
    assert!(
        alerts.iter().any(|(_, label)| label.as_deref() == Some(r#"reason="WORKER_LOST""#)),
        "{alerts:?}"
    );
    for (name, label) in alerts {
        let labels: Vec<&str> = label.as_deref().into_iter().collect();
        let exists = scrape.series().any(|series| {
            series.split('{').next() == Some(&name) && labels.iter().all(|label| series.contains(label))
        });
        assert!(exists && scrape.sum_is(&name, &labels, 0.0), "{name} {labels:?}: {scrape:#?}");
    }
}

#[test]
fn metrics_for_other_machines_need_tls_or_the_explicit_consent_to_plaintext() {
    let home = tempfile::tempdir().expect("a temporary directory can be created");
    let output = run(&mut tasker_command(home.path(), ["up", "--set", "metrics.listen=0.0.0.0:0"]));
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("metrics.allow_plaintext = true"), "{}", output.stderr);
}
