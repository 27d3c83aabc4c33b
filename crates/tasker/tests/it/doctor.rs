//! `tasker doctor`: its findings in an installation without faults and in one with faults, and that it changes nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use store::TASKS_SCHEMA;
use tempfile::TempDir;
use testkit::{CertificateAuthority, TestDatabase, kafka_address};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::{Cluster, ClusterConfig, WORKER_CLIENT, WORKER_SECRET};
use crate::kit::command::{run, set_arguments, tasker_command};
use crate::kit::tasker_up::TaskerUp;

/// Sets the permissions of a file or directory.
fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the file is ours");
}

#[tokio::test]
async fn doctor_checks_certificates_permissions_and_the_database() {
    let cluster = Cluster::start(1, 1).await;
    let home = TempDir::new().unwrap();
    let authority = CertificateAuthority::new();
    let (valid, expired) = (authority.sign(&["localhost"]), authority.sign_expired(&["localhost"]));
    for (name, text) in [
        ("valid.pem", &valid.certificate),
        ("valid.key", &valid.key),
        ("expired.pem", &expired.certificate),
        ("expired.key", &expired.key),
    ] {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    set_mode(home.path(), 0o755);
    set_mode(&home.path().join("valid.key"), 0o600);
    let doctor = |more: &[&str]| {
        let database = format!("database.url={}", cluster.database().url);
        let identity = format!("backend.identity_url={}", cluster.urls().identity);
        let settings = [&[&*database, &identity], more].concat();
        let arguments = ["doctor", "backend"].into_iter().chain(set_arguments(settings));
        run(&mut tasker_command(home.path(), arguments.collect::<Vec<_>>()))
    };
    let faultless = doctor(&["backend.tls_cert=valid.pem", "backend.tls_key=valid.key"]);
    assert_eq!(faultless.code, 0, "{}", faultless.stdout);
    for expected in [
        "version 0.",
        "only its owner may read valid.key",
        &format!("its tables are at version {}", TASKS_SCHEMA.latest_version()),
        " s from ours",
        "it ends in ",
    ] {
        assert!(faultless.stdout.contains(expected), "{expected}: {}", faultless.stdout);
    }
    let faulty = doctor(&["backend.tls_cert=expired.pem", "backend.tls_key=expired.key"]);
    assert_eq!(faulty.code, 1, "{}", faulty.stdout);
    let faulty = faulty.stdout;
    assert!(faulty.contains("BAD   backend.tls_cert        it ended "), "{faulty}");
    assert!(
        faulty.contains("warn  backend.tls_key         others may read expired.key: chmod 600"),
        "{faulty}"
    );
    // Nobody else reaches a file in a directory that only its owner may enter.
    set_mode(home.path(), 0o700);
    let unreachable = doctor(&["backend.tls_cert=valid.pem", "backend.tls_key=expired.key"]).stdout;
    let expected = "backend.tls_key         only its owner may read expired.key";
    assert!(unreachable.contains(expected), "{unreachable}");
    let without_database = doctor(&["database.url=postgres://nobody@127.0.0.1:1/none"]);
    assert_eq!(without_database.code, 1, "{}", without_database.stdout);
    for command in [&["doctor"][..], &["config", "check"]] {
        let arguments = [command, &["backend", "--set", "database.url=sqlite:none.db"]].concat();
        let output = run(&mut tasker_command(home.path(), arguments)).stdout;
        assert!(output.contains("none.db does not exist yet; the first start creates it"), "{output}");
        assert!(!home.path().join("none.db").exists(), "a check creates no database");
    }
}

#[tokio::test]
async fn doctor_checks_for_each_service_only_what_the_service_reads() {
    let (home, accounts) = (TempDir::new().unwrap(), TestDatabase::postgres().await);
    let settings = r#"
        [identity]
        clients = [{ id = "rig", secret_file = "absent", roles = ["Worker"] }]
        [worker]
        client_id = "rig"
        client_secret = "of the test"
    "#;
    for (name, text) in [("tasker.toml", settings), ("open.key", "")] {
        std::fs::write(home.path().join(name), text).unwrap();
        set_mode(&home.path().join(name), 0o644);
    }
    set_mode(home.path(), 0o755);
    let doctor = |service: &'static str, setting: &str| {
        let mut doctor = tasker_command(home.path(), ["doctor", service, "--set", setting]);
        run(doctor.env("TASKER__LOG__FILE", "absent.log")).stdout
    };
    let worker = doctor("worker", "kafka.ssl_key_location=open.key");
    assert!(worker.contains("warn  worker.client_secret    others may read tasker.toml: "), "{worker}");
    assert!(worker.contains("warn  kafka.ssl_key_location  others may read open.key: "), "{worker}");
    assert!(!worker.contains("client rig") && !worker.contains("absent"), "{worker}");
    let identity = doctor("identity", &format!("identity.database_url={}", accounts.url));
    let absent = home.path().canonicalize().unwrap().join("absent");
    let absent = format!("BAD   client rig              {} cannot be read: ", absent.display());
    assert!(identity.contains(&absent), "{absent}: {identity}");
    assert!(identity.contains("ok    identity.database_url   its clock is "), "{identity}");
}

#[tokio::test]
async fn doctor_compares_the_topics_with_the_settings() {
    let kafka = Some(kafka_address());
    let config = ClusterConfig { backends: 1, workers: 1, slots: 1, kafka, ..ClusterConfig::default() };
    let mut cluster = Cluster::start_with(config).await;
    let client = ApiClient::register(&cluster.urls(), "ann").await;
    client.wait_for_health(|health| health.get("degraded").is_none()).await;
    let home = TempDir::new().unwrap();
    let urls = cluster.urls();
    let settings = [
        format!("kafka.bootstrap_servers={}", kafka_address()),
        format!("kafka.topic_prefix={}", cluster.topic_prefix()),
        format!("worker.backend_url={}", urls.backend),
        format!("worker.identity_url={}", urls.identity),
        format!("worker.client_id={WORKER_CLIENT}"),
        format!("worker.client_secret={WORKER_SECRET}"),
    ];
    let doctor = |service: &'static str, more: &[&str]| {
        let settings = settings.iter().map(String::as_str).chain(more.iter().copied());
        let arguments = ["doctor", service].into_iter().chain(set_arguments(settings));
        run(&mut tasker_command(home.path(), arguments.collect::<Vec<_>>()))
    };
    let faultless = doctor("worker", &[]);
    assert_eq!(faultless.code, 0, "{}", faultless.stdout);
    for topic in ["tasks.default", "results", "dlq"] {
        let topic = format!("{}.{topic}", cluster.topic_prefix());
        let expected = format!("{topic:<22}  partitions 12, replication 1");
        assert!(faultless.stdout.contains(&expected), "{expected}: {}", faultless.stdout);
    }
    for setting in ["worker.identity_url", "worker.backend_url"] {
        let expected = format!("ok    {setting:<22}  its clock is ");
        assert!(faultless.stdout.contains(&expected), "{expected}: {}", faultless.stdout);
    }
    let partitions = doctor("worker", &["kafka.partitions=13"]);
    let expected = "kafka.partitions = 13 applies to new topics only: add partitions";
    assert!(partitions.stdout.contains(expected), "{}", partitions.stdout);
    let replication = doctor("worker", &["kafka.replication=3"]);
    let expected = "kafka.replication = 3 applies to new topics only: reassign";
    assert!(replication.stdout.contains(expected), "{}", replication.stdout);
    assert_eq!((partitions.code, replication.code), (0, 0), "a difference is no fault");
    let program = ApiClient::sign_in_as_program(&cluster.urls(), WORKER_CLIENT, WORKER_SECRET).await;
    program.register_operation("HEAVY", "heavy").await;
    let database = format!("database.url={}", cluster.database().url);
    let queues = doctor("backend", &[&database]);
    assert!(queues.stdout.contains(&format!("{}.tasks.heavy", cluster.topic_prefix())), "{}", queues.stdout);
    cluster.stop();
}

#[test]
fn doctor_finds_a_tasker_up_as_the_other_commands_do() {
    let up = TaskerUp::start();
    let urls = up.urls();
    let of = |path: &str| {
        format!(
            "ok    installation            the `tasker up` of {path}: the Backend at {}, Identity at {}\n",
            urls.backend, urls.identity
        )
    };
    let here = up.run_command(["doctor"]);
    assert_eq!((here.code, here.stdout.contains("BAD")), (0, false), "{}", here.stdout);
    assert!(here.stdout.contains(&of("./.tasker")), "{}", here.stdout);
    assert!(
        here.stdout.contains("ok    account local           it signs in, and the Backend accepts it"),
        "{}",
        here.stdout
    );
    let apart = up.run_command(["doctor", "worker", "--set", "worker.client_id=rig"]).stdout;
    assert!(apart.contains("the services that the settings name (no settings file"), "{apart}");
    let elsewhere = TempDir::new().unwrap();
    let data = up.home().join(".tasker");
    let doctor =
        |arguments: &[&str]| run(&mut tasker_command(elsewhere.path(), [&["doctor"], arguments].concat()));
    let path = data.to_str().unwrap();
    for service in ["all", "backend", "identity", "worker"] {
        let report = doctor(&[service, "--data-dir", path]);
        assert_eq!((report.code, report.stdout.contains("BAD")), (0, false), "{service}: {}", report.stdout);
        assert!(report.stdout.contains(&of(path)), "{}", report.stdout);
    }
    let none = doctor(&[]);
    assert_eq!(none.code, 1, "{}", none.stdout);
    let expected = "(no settings file, environment, options); no `tasker up` runs on ./.tasker";
    assert!(none.stdout.contains(expected), "{}", none.stdout);
    assert_eq!(doctor(&["--data-dir", "nowhere"]).code, 9);
    let (home, _) = up.stop();
    let stopped = run(&mut tasker_command(home.path(), ["doctor"]));
    assert_eq!(stopped.code, 1, "{}", stopped.stdout);
    assert!(stopped.stdout.contains(expected), "{}", stopped.stdout);
}

#[tokio::test]
async fn doctor_decrypts_the_signing_keys_with_the_key_file() {
    let up = TaskerUp::start();
    let key = up.home().join(".tasker/identity.key");
    let database = format!("database.url=sqlite:{}", up.home().join(".tasker/tasks.db").display());
    let doctor = |more: &[&str]| {
        let settings = [&[&*database], more].concat();
        let arguments = ["doctor", "identity"].into_iter().chain(set_arguments(settings));
        run(&mut tasker_command(up.home(), arguments.collect::<Vec<_>>()))
    };
    let faultless = doctor(&[]);
    assert_eq!(faultless.code, 0, "{}", faultless.stdout);
    let expected = "it decrypts the signing keys (1); the current key has been in use for 0 days";
    assert!(faultless.stdout.contains(expected), "{}", faultless.stdout);
    let mut other_key = std::fs::read(&key).unwrap();
    other_key[..32].reverse();
    std::fs::write(up.home().join("other.key"), other_key).unwrap();
    for (file, expected) in
        [("other.key", "use the file of the Identity that created them"), ("none.key", "copy it")]
    {
        let faulty = doctor(&[&format!("identity.key_file={file}")]);
        assert_eq!(faulty.code, 1, "{file}: {}", faulty.stdout);
        assert!(faulty.stdout.contains(expected), "{file}: {}", faulty.stdout);
    }
    assert!(!up.home().join("none.key").exists(), "a check creates no key file");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_warns_of_a_service_whose_clock_differs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let date = [("date", "Tue, 24 Nov 2020 09:30:00 GMT")];
    let router = Router::new().fallback(move || async move { (StatusCode::NOT_FOUND, date) });
    TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
    let home = TempDir::new().unwrap();
    let settings = [format!("backend.identity_url={url}"), "database.url=sqlite:none.db".to_owned()];
    let arguments = ["doctor", "backend"].into_iter().chain(set_arguments(&settings));
    let output = run(&mut tasker_command(home.path(), arguments)).stdout;
    assert!(output.contains("warn  backend.identity_url    its clock is -"), "{output}");
}
