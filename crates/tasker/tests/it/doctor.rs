//! `tasker doctor`: what it finds in a sound installation and in an ailing one, and that to look changes nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use store::TASKS;
use tempfile::TempDir;
use testkit::{Authority, Scratch, kafka_server};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::kit::cluster::{Cluster, Plan};
use crate::kit::person::Person;
use crate::kit::process::{Up, run, tasker};

#[tokio::test]
async fn an_installation_is_looked_over() {
    let cluster = Cluster::start(1, 1).await;
    let home = TempDir::new().unwrap();
    let authority = Authority::new();
    let (sound, ended) = (authority.sign(&["localhost"]), authority.sign_ended(&["localhost"]));
    for (name, text) in [
        ("sound.pem", &sound.certificate),
        ("sound.key", &sound.key),
        ("ended.pem", &ended.certificate),
        ("ended.key", &ended.key),
    ] {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    mode(home.path(), 0o755);
    mode(&home.path().join("sound.key"), 0o600);
    let doctor = |more: &[&str]| {
        let database = format!("database.url={}", cluster.database().url);
        let identity = format!("backend.identity_url={}", cluster.addresses().identity);
        let sets = [database.as_str(), &identity].into_iter().chain(more.iter().copied());
        let arguments = ["doctor", "backend"].into_iter().chain(sets.flat_map(|set| ["--set", set]));
        run(&mut tasker(home.path(), arguments.collect::<Vec<_>>()))
    };
    let well = doctor(&["backend.tls_cert=sound.pem", "backend.tls_key=sound.key"]);
    assert_eq!(well.code, 0, "{}", well.out);
    for said in [
        "version 0.",
        "only its owner may read sound.key",
        &format!("its tables are at version {}", TASKS.version()),
        " s from ours",
        "it ends in ",
    ] {
        assert!(well.out.contains(said), "{said}: {}", well.out);
    }
    let ill = doctor(&["backend.tls_cert=ended.pem", "backend.tls_key=ended.key"]);
    assert_eq!(ill.code, 1, "{}", ill.out);
    assert!(ill.out.contains("BAD   backend.tls_cert        it ended "), "{}", ill.out);
    assert!(
        ill.out.contains("warn  backend.tls_key         others may read ended.key: chmod 600"),
        "{}",
        ill.out
    );
    mode(home.path(), 0o700);
    let hidden = doctor(&["backend.tls_cert=sound.pem", "backend.tls_key=ended.key"]);
    assert!(
        hidden.out.contains("backend.tls_key         only its owner may read ended.key"),
        "{}",
        hidden.out
    );
    let away = doctor(&["database.url=postgres://nobody@127.0.0.1:1/none"]);
    assert_eq!(away.code, 1, "{}", away.out);
    for look in [&["doctor"][..], &["config", "check"]] {
        let said = [look, &["backend", "--set", "database.url=sqlite:none.db"]].concat();
        let said = run(&mut tasker(home.path(), said));
        assert!(said.out.contains("none.db does not exist yet; the first start creates it"), "{}", said.out);
        assert!(!home.path().join("none.db").exists(), "to look changes nothing");
    }
}

#[tokio::test]
async fn each_role_is_looked_over_for_what_it_reads_and_no_more() {
    let (home, accounts) = (TempDir::new().unwrap(), Scratch::postgres().await);
    let settings = r#"
        [identity]
        clients = [{ id = "rig", secret_file = "absent", roles = ["Worker"] }]
        [worker]
        client_id = "rig"
        client_secret = "of the test"
    "#;
    for (name, text) in [("tasker.toml", settings), ("open.key", "")] {
        std::fs::write(home.path().join(name), text).unwrap();
        mode(&home.path().join(name), 0o644);
    }
    mode(home.path(), 0o755);
    let doctor = |role: &'static str, set: &str| {
        let mut doctor = tasker(home.path(), ["doctor", role, "--set", set]);
        run(doctor.env("TASKER__LOG__FILE", "absent.log")).out
    };
    let worker = doctor("worker", "kafka.ssl_key_location=open.key");
    assert!(worker.contains("warn  worker.client_secret    others may read tasker.toml: "), "{worker}");
    assert!(worker.contains("warn  kafka.ssl_key_location  others may read open.key: "), "{worker}");
    assert!(!worker.contains("client rig") && !worker.contains("absent"), "{worker}");
    let identity = doctor("identity", &format!("identity.database_url={}", accounts.url));
    assert!(identity.contains("BAD   client rig              absent cannot be read: "), "{identity}");
    assert!(identity.contains("ok    identity.database_url   its clock is "), "{identity}");
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("our own file");
}

#[tokio::test]
async fn kafkas_topics_are_held_against_the_settings() {
    let plan = Plan { backends: 1, workers: 1, slots: 1, kafka: Some(kafka_server()), ..Plan::default() };
    let mut cluster = Cluster::of(plan).await;
    let person = Person::register(&cluster.addresses(), "ann").await;
    person.until_health(|health| health.get("degraded").is_none()).await;
    let home = TempDir::new().unwrap();
    let doctor = |role: &'static str, more: &[&str]| {
        let (kafka, prefix) = (kafka_server(), cluster.prefix());
        let (kafka, prefix) =
            (format!("kafka.bootstrap_servers={kafka}"), format!("kafka.topic_prefix={prefix}"));
        let at = cluster.addresses();
        let (backend, identity) =
            (format!("worker.backend_url={}", at.backend), format!("worker.identity_url={}", at.identity));
        let sets = [&*kafka, &prefix, &backend, &identity, "worker.client_id=rig"];
        let sets =
            sets.into_iter().chain(["worker.client_secret=a secret of the test"]).chain(more.iter().copied());
        let arguments = ["doctor", role].into_iter().chain(sets.flat_map(|set| ["--set", set]));
        run(&mut tasker(home.path(), arguments.collect::<Vec<_>>()))
    };
    let well = doctor("worker", &[]);
    assert_eq!(well.code, 0, "{}", well.out);
    for topic in ["tasks.default", "results", "dlq"] {
        let said = format!("{:<22}  partitions 12, replication 1", format!("{}.{topic}", cluster.prefix()));
        assert!(well.out.contains(&said), "{said}: {}", well.out);
    }
    for about in ["worker.identity_url", "worker.backend_url"] {
        let said = format!("ok    {about:<22}  its clock is ");
        assert!(well.out.contains(&said), "{said}: {}", well.out);
    }
    let fewer = doctor("worker", &["kafka.partitions=13"]);
    assert!(
        fewer.out.contains("kafka.partitions = 13 applies to new topics only: add partitions"),
        "{}",
        fewer.out
    );
    let safer = doctor("worker", &["kafka.replication=3"]);
    assert!(
        safer.out.contains("kafka.replication = 3 applies to new topics only: reassign"),
        "{}",
        safer.out
    );
    assert_eq!((fewer.code, safer.code), (0, 0), "it works");
    let rig = Person::program(&cluster.addresses(), "rig", "a secret of the test").await;
    rig.enter_operation("HEAVY", "heavy").await;
    let database = format!("database.url={}", cluster.database().url);
    let queues = doctor("backend", &[&database]);
    assert!(queues.out.contains(&format!("{}.tasks.heavy", cluster.prefix())), "{}", queues.out);
    cluster.stop();
}

#[tokio::test]
async fn signing_keys_must_open_with_the_key_file() {
    let up = Up::start();
    let key = up.home().join(".tasker/identity.key");
    let database = format!("database.url=sqlite:{}", up.home().join(".tasker/tasks.db").display());
    let doctor = |more: &[&str]| {
        let sets = [database.as_str()].into_iter().chain(more.iter().copied()).flat_map(|set| ["--set", set]);
        run(&mut tasker(up.home(), ["doctor", "identity"].into_iter().chain(sets)))
    };
    let well = doctor(&[]);
    assert_eq!(well.code, 0, "{}", well.out);
    assert!(
        well.out.contains("it decrypts the signing keys (1); the current key has been in use for 0 days"),
        "{}",
        well.out
    );
    let other = up.home().join("other.key");
    let mut bytes = std::fs::read(&key).unwrap();
    bytes[..32].reverse();
    std::fs::write(&other, bytes).unwrap();
    for (file, said) in
        [("other.key", "use the file of the Identity that made them"), ("none.key", "copy it")]
    {
        let ill = doctor(&[&format!("identity.key_file={file}")]);
        assert_eq!(ill.code, 1, "{file}: {}", ill.out);
        assert!(ill.out.contains(said), "{file}: {}", ill.out);
    }
    assert!(!up.home().join("none.key").exists(), "to look changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_clock_is_wrong_is_told_of() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let late = [("date", "Tue, 24 Nov 2020 09:30:00 GMT")];
    let router = Router::new().fallback(move || async move { (StatusCode::NOT_FOUND, late) });
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    let home = TempDir::new().unwrap();
    let (identity, database) = (format!("backend.identity_url={address}"), "database.url=sqlite:none.db");
    let said = run(&mut tasker(home.path(), ["doctor", "backend", "--set", &identity, "--set", database]));
    assert!(said.out.contains("warn  backend.identity_url    its clock is -"), "{}", said.out);
}
