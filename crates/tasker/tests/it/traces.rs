//! Traces: one from the submission to the end, whatever way the task went, at a collector; without one all goes on.

use domain::Status;
use serde_json::json;
use testkit::{Authority, kafka_server};

use crate::cluster::{Cluster, Plan};
use crate::collector::{Collector, Step};
use crate::person::Person;
use crate::process::{Up, run, tasker};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
const SECRET: &str = "Bearer of-the-test";

/// A caller's place in its trace.
fn caller(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

fn settings(collector: &Collector) -> Vec<String> {
    vec![format!("traces.endpoint={}", collector.endpoint), format!("traces.headers=authorization={SECRET}")]
}

/// The steps of a trace, each a part of the one before; the first is a part of `parent`.
fn chain(steps: &[Step], trace: &str, parent: &str) -> Vec<Step> {
    let mut chain: Vec<Step> = Vec::new();
    // A worker that stops says over HTTP again what nobody has confirmed: it is settled twice then.
    let after = |last: &str| {
        let next = steps.iter().filter(|step| step.trace == trace && step.parent == last);
        next.min_by_key(|step| step.name == "settle")
    };
    while let Some(next) = after(chain.last().map_or(parent, |step| &step.id)) {
        chain.push(next.clone());
    }
    chain
}

fn names(chain: &[Step]) -> Vec<(&str, &str)> {
    chain.iter().map(|step| (step.service.as_str(), step.name.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_kafka_one_trace_leads_from_the_caller_to_finished() {
    let (home, authority) = (tempfile::tempdir().expect("a directory"), Authority::new());
    let ca = home.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("a file");
    let collector = Collector::start(SECRET, Some(&authority.sign(&["127.0.0.1"]))).await;
    let mut settings = settings(&collector);
    settings.push(format!("traces.tls_ca={}", ca.display()));
    settings.extend(["worker.steal_after_ms=0", "log.level=info,worker=debug"].map(str::to_owned));
    let plan = Plan { backends: 1, workers: 1, slots: 4, kafka: Some(kafka_server()), settings };
    let mut cluster = Cluster::of(plan).await;
    let person = Person::register(&cluster.addresses(), "ann").await;
    while !cluster.said_by_workers().iter().any(|line| line.contains("granted by ticket")) {
        person.submitted_and_ended("ECHO", json!(null), 60_000).await;
    }
    let id = person.submit_traced("ECHO", json!({"a": 1}), 60_000, &caller("01")).await;
    assert_eq!(person.ended(id).await.status, Status::Finished);
    // What is left is told when they stop.
    cluster.stop();

    let chain = chain(&collector.steps(), TRACE, CALLER);
    let (tickets, results) = (
        format!("publish {}.tasks.default", cluster.prefix()),
        format!("publish {}.results", cluster.prefix()),
    );
    let expected = [
        ("tasker-backend", "POST /api/Task"),
        ("tasker-backend", &*tickets),
        ("tasker-worker", "run ECHO"),
        ("tasker-worker", &*results),
        ("tasker-backend", "settle"),
    ];
    assert_eq!(names(&chain), expected);
    assert_eq!(chain[0].noted("http.response.status_code").as_deref(), Some("201"));
    assert_eq!(chain[2].noted("tasker.task.id"), Some(id.to_string()));
    assert_eq!(chain[4].noted("tasker.task.status").as_deref(), Some("FINISHED"));
    assert!(chain.iter().all(|step| step.is_well), "{chain:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_pull_too_and_a_failure_is_seen_and_what_is_not_sampled_is_not_recorded() {
    let collector = Collector::start(SECRET, None).await;
    let settings = settings(&collector);
    let up = Up::start_with(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let person = Person::register(&up.addresses(), "ann").await;
    let quiet = person.submit_traced("ECHO", json!(null), 60_000, &caller("00")).await;
    person.ended(quiet).await;
    let (done, late) = (person.submit("ECHO", json!(null), 60_000).await, json!({"ms": 3_600_000}));
    assert_eq!(person.ended(done).await.status, Status::Finished);
    let late = person.submit("SLEEP", late, 50).await;
    assert_eq!(person.ended(late).await.status, Status::Cancelled);
    person.get("/api/Task/").await;
    let (_, status) = up.stop();
    assert!(status.success());

    let steps = collector.steps();
    let trace_of = |id: domain::TaskId| {
        let run = steps.iter().find(|step| step.noted("tasker.task.id") == Some(id.to_string()));
        run.map(|run| run.trace.clone())
    };
    assert_eq!(trace_of(quiet), None);
    let of = |id| chain(&steps, &trace_of(id).expect("it was recorded"), "");
    let one = "tasker";
    let (done, late) = (of(done), of(late));
    assert_eq!(names(&done), [(one, "POST /api/Task"), (one, "run ECHO"), (one, "settle")]);
    assert_eq!(names(&late), [(one, "POST /api/Task"), (one, "run SLEEP")]);
    assert_eq!((late[1].is_well, late[1].noted("tasker.end").as_deref()), (false, Some("out_of_time")));
    assert_eq!(steps.len(), 5, "what begins no task begins no trace: {steps:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_is_told_of_once_and_holds_nothing_up() {
    let mut up = Up::start_with(&["traces.endpoint=http://127.0.0.1:1", "log.level=info"]);
    let person = Person::register(&up.addresses(), "ann").await;
    for _ in 0..3 {
        let task = person.submitted_and_ended("ECHO", json!(1), 60_000).await;
        assert_eq!(task.status, Status::Finished);
    }
    up.process().terminate();
    assert!(up.process().ended().success());
    let told = up.process().seen().iter().filter(|line| line.contains("traces do not go to"));
    assert_eq!(told.count(), 1, "{:#?}", up.process().seen());
}

#[test]
fn settings_of_traces_that_make_no_sense_are_refused_and_headers_are_not_told() {
    let home = tempfile::tempdir().expect("a directory");
    for (setting, rule) in [
        ("traces.sample=2", "from 0 to 1"),
        ("traces.endpoint=collector:4318", "http://"),
        ("traces.headers=hush-hush", "name=value"),
        ("traces.tls_ca=/nowhere/ca.pem", "cannot be read"),
    ] {
        let sets = ["--set", "traces.endpoint=http://127.0.0.1:1", "--set", setting];
        let said = run(&mut tasker(home.path(), ["up"].into_iter().chain(sets)));
        let key = setting.split_once('=').expect("a setting").0;
        assert_eq!(said.code, 2, "{setting}: {}", said.err);
        assert!(said.err.contains(key) && said.err.contains(rule), "{setting}: {}", said.err);
        assert!(!said.err.contains("hush"), "{}", said.err);
    }
}
