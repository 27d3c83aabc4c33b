//! `/metrics`: what a scrape shows after real work, in every role, and what it never shows.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use testkit::kafka_server;
use tokio::time::{interval, timeout};

use crate::kit::cluster::{Cluster, Plan};
use crate::kit::person::Person;
use crate::kit::process::{Up, run, tasker};

/// What a scrape shows: each series with its value.
type Scrape = HashMap<String, f64>;

async fn scrape(at: &str) -> Scrape {
    let answer = reqwest::get(format!("{at}/metrics")).await.expect("it is served");
    assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("text/plain"));
    let text = answer.text().await.expect("text");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let series = lines.map(|line| line.rsplit_once(' ').expect("a series and its value"));
    series.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

/// Scrapes until `holds`: samples are taken now and then.
async fn until(at: &str, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
    let look = async {
        let mut looks = interval(Duration::from_millis(100));
        loop {
            looks.tick().await;
            let seen = scrape(at).await;
            if holds(&seen) {
                return seen;
            }
        }
    };
    timeout(Duration::from_mins(1), look).await.unwrap_or_else(|_| panic!("{what}"))
}

fn of(scrape: &Scrape, name: &str, labels: &[&str]) -> f64 {
    let is_it = |series: &&String| {
        let (found, rest) = series.split_once('{').unwrap_or((series, ""));
        found == name && labels.iter().all(|label| rest.contains(label))
    };
    scrape.keys().filter(is_it).map(|series| scrape[series]).sum()
}

fn is(scrape: &Scrape, name: &str, labels: &[&str], value: f64) -> bool {
    (of(scrape, name, labels) - value).abs() < 0.1
}

#[tokio::test]
async fn what_happened_is_counted_and_named_by_nobody() {
    let mut up = Up::start_with(&["metrics.listen=127.0.0.1:0", "log.level=info,audit=off"]);
    let at = up.process().metrics();
    let ann = Person::register(&up.addresses(), "ann").await;
    for n in 0..3 {
        ann.submitted_and_ended("ECHO", json!({ "n": n }), 60_000).await;
    }
    let expired = ann.submitted_and_ended("SLEEP", json!({"ms": 60_000}), 100).await;
    let cancelled = ann.submit("SLEEP", json!({"ms": 60_000}), 60_000).await;
    ann.cancel(cancelled).await;
    ann.get("/api/Task/not-an-id").await;
    let odd = reqwest::Method::from_bytes(b"ODDITY").expect("a method");
    reqwest::Client::new().request(odd, format!("{}/api/Task", up.backend)).send().await.expect("an answer");
    let seen = until(&at, "slots are sampled", |seen| {
        is(seen, "tasker_registered_worker_slots", &[r#"type="ECHO""#], 8.0)
            && of(seen, "tasker_worker_runs_total", &[r#"type="SLEEP""#]) >= 1.0
    })
    .await;
    for (name, labels, value) in [
        ("tasker_tasks_accepted_total", &[][..], 5.0),
        ("tasker_tasks_ended_total", &[r#"status="FINISHED""#], 3.0),
        ("tasker_tasks_ended_total", &[r#"reason="TTL_EXPIRED""#], 1.0),
        ("tasker_tasks_ended_total", &[r#"reason="REQUESTED""#], 1.0),
        ("tasker_verdict_lateness_seconds_count", &[], 1.0),
        ("tasker_worker_runs_total", &[r#"type="ECHO""#, r#"end="result""#], 3.0),
        ("tasker_worker_run_seconds_count", &[r#"type="ECHO""#], 3.0),
        ("tasker_worker_slots", &[], 8.0),
        ("tasker_http_request_seconds_count", &[r#"route="/api/Task/{id}""#, r#"status="400""#], 1.0),
        ("tasker_build_info", &[], 1.0),
    ] {
        assert!(is(&seen, name, labels, value), "{name} {labels:?}: {seen:#?}");
    }
    assert!(of(&seen, "tasker_tokens_total", &[r#"grant="password""#]) >= 1.0);
    assert!(of(&seen, "tasker_sign_ins_total", &[r#"outcome="right""#]) >= 1.0);
    assert!(of(&seen, "tasker_password_hash_seconds_count", &[]) >= 2.0);
    assert!(of(&seen, "tasker_statement_seconds_count", &[r#"verb="settle""#]) >= 1.0);
    assert!(of(&seen, "process_resident_memory_bytes", &[]) > 1e6);
    for secret in ["ann", "ODDITY", &expired.id.to_string(), &cancelled.to_string(), "not-an-id"] {
        let told = seen.keys().find(|series| series.contains(secret));
        assert!(told.is_none(), "{secret} stands in {told:?}");
    }
}

#[tokio::test]
async fn every_role_shows_its_own_figures() {
    let settings = vec!["metrics.listen=127.0.0.1:0".to_owned()];
    let plan = Plan { backends: 1, workers: 1, slots: 4, kafka: Some(kafka_server()), settings };
    let mut cluster = Cluster::of(plan).await;
    let person = Person::register(&cluster.addresses(), "ann").await;
    let waiting = person.submit("SLEEP", json!({"ms": 60_000}), 600_000).await;
    person.submitted_and_ended("ECHO", json!({"a": 1}), 60_000).await;
    let (backend, worker) = cluster.metrics();
    let seen = until(&backend, "the database is sampled", |seen| {
        is(seen, "tasker_tasks_running", &[r#"type="SLEEP""#], 1.0) && is(seen, "tasker_kafka_up", &[], 1.0)
    })
    .await;
    assert!(seen.contains_key("tasker_database_live_dead_rows"), "{seen:#?}");
    assert!(of(&seen, "tasker_database_clock_offset_seconds", &[]).abs() < 5.0);
    assert!(!seen.keys().any(|series| series.starts_with("tasker_worker_runs")), "that is the worker's");
    let seen = until(&worker, "it runs", |seen| is(seen, "tasker_worker_slots_busy", &[], 1.0)).await;
    assert!(is(&seen, "tasker_worker_runs_total", &[r#"type="ECHO""#], 1.0));
    person.cancel(waiting).await;
    cluster.stop();
}

#[test]
fn figures_are_not_shown_to_strangers() {
    let home = tempfile::tempdir().expect("a directory");
    let said = run(&mut tasker(home.path(), ["up", "--set", "metrics.listen=0.0.0.0:0"]));
    assert_eq!(said.code, 2);
    assert!(said.err.contains("metrics.allow_plaintext = true"), "{}", said.err);
}
