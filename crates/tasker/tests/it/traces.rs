//! Traces: one from the submission to the end, whatever way the task went, at a collector; without one all goes on.

use domain::{Status, TaskId};
use serde_json::json;
use testkit::{Authority, kafka_server};

use crate::kit::cluster::{Cluster, Plan};
use crate::kit::person::Person;
use crate::kit::process::{Up, run, tasker};
use crate::kit::trace_collector::{Collector, Step};
use crate::kit::until::until;

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

/// The way that led to a step: each is a part of the one before.
fn way_to<'a>(last: &'a Step, steps: &'a [Step]) -> Vec<&'a Step> {
    let mut way = vec![last];
    while let Some(before) = steps.iter().find(|step| step.trace == last.trace && step.id == way[0].parent) {
        way.insert(0, before);
    }
    way
}

fn names<'a>(way: &[&'a Step]) -> Vec<(&'a str, &'a str)> {
    way.iter().map(|step| (step.service.as_str(), step.name.as_str())).collect()
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

    let steps = collector.steps();
    // A worker that stops says over HTTP again what nobody has confirmed: it is settled twice then.
    let by_kafka = |step: &&Step| {
        let parent = steps.iter().find(|before| before.id == step.parent);
        step.trace == TRACE
            && step.name == "settle"
            && parent.is_some_and(|parent| parent.name.starts_with("publish"))
    };
    let way = way_to(steps.iter().find(by_kafka).expect("it was settled"), &steps);
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
    assert_eq!(names(&way), expected);
    assert_eq!(way[0].parent, CALLER);
    assert_eq!(way[0].noted("http.response.status_code").as_deref(), Some("201"));
    assert_eq!(way[2].noted("tasker.task.id"), Some(id.to_string()));
    assert_eq!(way[4].noted("tasker.task.status").as_deref(), Some("FINISHED"));
    assert!(way.iter().all(|step| step.is_well), "{way:#?}");
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
    let step_of = |id: TaskId, name: &str| {
        steps.iter().find(|step| step.name == name && step.noted("tasker.task.id") == Some(id.to_string()))
    };
    assert!(step_of(quiet, "run ECHO").is_none());
    let of = |id, name| way_to(step_of(id, name).expect("it was recorded"), &steps);
    let one = "tasker";
    let (done, late) = (of(done, "settle"), of(late, "run SLEEP"));
    assert_eq!(names(&done), [(one, "POST /api/Task"), (one, "run ECHO"), (one, "settle")]);
    assert_eq!(names(&late), [(one, "POST /api/Task"), (one, "run SLEEP")]);
    // By its worker, or by the verdict if that was quicker.
    let end = late[1].noted("tasker.end");
    assert!(matches!(end.as_deref(), Some("out_of_time" | "stopped")), "{end:?}");
    assert!(!late[1].is_well);
    assert_eq!(steps.len(), 5, "what begins no task begins no trace: {steps:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_holds_nothing_up() {
    let mut up = Up::start_with(&["traces.endpoint=http://127.0.0.1:1", "log.level=info"]);
    let person = Person::register(&up.addresses(), "ann").await;
    for _ in 0..3 {
        let task = person.submitted_and_ended("ECHO", json!(1), 60_000).await;
        assert_eq!(task.status, Status::Finished);
    }
    up.process().terminate();
    assert!(up.process().ended().success());
    let told = up.process().seen().iter().find(|line| line.contains("traces are not accepted by"));
    assert!(told.is_some_and(|line| line.contains("Connection refused")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_nothing_is_told_of_once_and_once_that_it_does_again() {
    let collector = Collector::busy(3, SECRET, None).await;
    let mut settings = settings(&collector);
    settings.push("log.level=info".to_owned());
    let mut up = Up::start_with(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let person = Person::register(&up.addresses(), "ann").await;
    until("it takes something", async || {
        person.submitted_and_ended("ECHO", json!(1), 60_000).await;
        !collector.steps().is_empty()
    })
    .await;
    up.process().after("again");
    up.process().terminate();
    assert!(up.process().ended().success());
    let told = up.process().seen().iter().filter(|line| line.contains("traces ")).collect::<Vec<_>>();
    let [away, again] = *told else { panic!("{told:#?}") };
    assert!(away.contains("traces are not accepted by") && away.contains("503"), "{away}");
    assert!(again.contains("traces are accepted by"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_asks_the_collector() {
    let (home, collector) = (tempfile::tempdir().expect("a directory"), Collector::start(SECRET, None).await);
    let check = |endpoint: &str| {
        let sets = [format!("traces.endpoint={endpoint}"), format!("traces.headers=authorization={SECRET}")];
        let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
        run(&mut tasker(home.path(), ["config", "check", "worker"].into_iter().chain(sets))).out
    };
    let sound = check(&collector.endpoint);
    assert!(sound.contains("ok   traces.endpoint         the collector accepts traces"), "{sound}");
    let other = check(&format!("{}/elsewhere", collector.endpoint));
    assert!(other.contains("BAD  traces.endpoint         the collector answers 404 "), "{other}");
    let away = check("http://127.0.0.1:1");
    assert!(away.contains("BAD  traces.endpoint  ") && away.contains("Connection refused"), "{away}");
    assert!(!away.contains("of-the-test"), "{away}");
    assert!(collector.steps().is_empty());
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
