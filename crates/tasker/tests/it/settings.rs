//! Settings that make no sense are refused with a sentence that names them, before anything is opened.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use testkit::{kafka_server, own_prefix};

use crate::kit::cluster::Cluster;
use crate::kit::process::{Said, run, tasker};

fn home() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

/// Runs a role that must refuse its settings.
fn refusal(home: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let Said { code, out, err } =
        run(tasker(home.path(), arguments.iter().copied()).envs(variables.iter().copied()));
    assert_eq!(code, 2, "{err}");
    assert_eq!(out, "");
    err
}

#[test]
fn an_unknown_key_in_the_file_shows_its_line_and_what_was_meant() {
    let home = home();
    std::fs::write(home.path().join("tasker.toml"), "[backend]\ncheck_periodms = 5\n").unwrap();
    let sentence = refusal(&home, &["backend"], &[]);
    assert!(sentence.starts_with("error: tasker.toml, line 2, column 1: unknown field"), "{sentence}");
    assert!(sentence.ends_with("did you mean `check_period_ms`?"), "{sentence}");
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let sentence = refusal(&home(), &["backend", "--config", "absent.toml"], &[]);
    assert!(sentence.starts_with("error: the settings file absent.toml cannot be read"), "{sentence}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let home = home();
    std::fs::write(home.path().join("tasker.toml"), "[backend]\nlisten = \"10.0.0.1:1\"\n").unwrap();
    assert!(refusal(&home, &["backend"], &[]).contains("10.0.0.1:1"));
    let variable = ("TASKER__BACKEND__LISTEN", "10.0.0.2:2");
    assert!(refusal(&home, &["backend"], &[variable]).contains("10.0.0.2:2"));
    let flag = ["backend", "--set", "backend.listen=10.0.0.3:3"];
    assert!(refusal(&home, &flag, &[variable]).contains("10.0.0.3:3"));
}

#[test]
fn a_variable_is_named_by_its_error() {
    let sentence = refusal(&home(), &["worker"], &[("TASKER__WORKER__SLOTS", "many")]);
    assert!(sentence.starts_with("error: TASKER__WORKER__SLOTS: invalid type"), "{sentence}");
    let sentence = refusal(&home(), &["worker"], &[("TASKER__WORKER__SLOT", "4")]);
    assert!(sentence.ends_with("did you mean `slots`?"), "{sentence}");
    let sentence = refusal(&home(), &["worker"], &[("TASKER__WORKER__PASSWORD_FILE", "absent")]);
    assert!(
        sentence.contains("TASKER__WORKER__PASSWORD_FILE: the secret file absent cannot be read"),
        "{sentence}"
    );
}

#[test]
fn variables_of_kubernetes_services_do_no_harm() {
    let sentence = refusal(&home(), &["backend"], &[("TASKER_PORT", "tcp://10.0.0.1:80")]);
    assert!(sentence.contains("TASKER_PORT: not a setting, ignored"), "{sentence}");
    assert!(sentence.contains("\nerror: database.url is not set"), "{sentence}");
}

#[test]
fn what_is_unsafe_outside_loopback_is_refused() {
    let open = ["--set", "identity.listen=0.0.0.0:8081"];
    let sentence = refusal(&home(), &[&["identity"], &open[..]].concat(), &[]);
    assert!(sentence.contains("identity.allow_plaintext = true"), "{sentence}");
    let full = ["--set", "identity.open_registration=full", "--set", "identity.allow_plaintext=true"];
    let sentence = refusal(&home(), &[&["identity"], &open[..], &full[..]].concat(), &[]);
    assert!(sentence.contains("identity.open_registration"), "{sentence}");
    let sentence = refusal(&home(), &["up", "--backend-addr", "0.0.0.0:0"], &[]);
    assert!(sentence.contains("backend.allow_plaintext = true"), "{sentence}");
}

#[test]
fn what_would_do_harm_later_is_refused_at_the_start() {
    let sentence = refusal(&home(), &["up", "--set", "backend.worker_lost_ms=1000"], &[]);
    assert!(sentence.starts_with("error: backend.worker_lost_ms = 1000 is less than 3 times"), "{sentence}");
    let origin = r#"backend.cors_origins=["https://app.example.org/"]"#;
    let sentence = refusal(&home(), &["backend", "--set", origin], &[]);
    assert!(sentence.starts_with("error: backend.cors_origins: "), "{sentence}");
}

#[test]
fn a_worker_must_say_who_it_is() {
    let sentence = refusal(&home(), &["worker"], &[]);
    assert!(sentence.starts_with("error: a worker needs credentials"), "{sentence}");
}

#[test]
fn an_address_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("backend.listen={}", taken.local_addr().unwrap());
    let home = home();
    let said =
        run(&mut tasker(home.path(), ["backend", "--set", &listen, "--set", "database.url=sqlite:tasks.db"]));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("backend.listen = 127.0.0.1:"), "{}", said.err);
    assert!(said.err.contains("another program listens there already"), "{}", said.err);
}

#[test]
fn the_help_is_a_manual() {
    let said = run(&mut tasker(home().path(), ["--help"]));
    assert_eq!(said.code, 0);
    for part in ["up", "migrate", "submit", "Exit codes:", "6    the task expired"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert_eq!(run(&mut tasker(home().path(), ["no-such-command"])).code, 2);
}

#[test]
fn a_database_or_a_level_that_is_none_is_named_with_its_setting() {
    let home = tempfile::tempdir().unwrap();
    for (setting, says) in [
        ("database.url=mysql://h/tasks", "database.url: a database is named by"),
        ("log.level=inof", "log.level = \"inof\": `inof` is not"),
        ("log.level=", "is not error, warn"),
    ] {
        let free = ["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"];
        let said = run(&mut tasker(home.path(), free.into_iter().chain(["--set", setting])));
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(said.err.contains(says), "{}", said.err);
    }
}

#[test]
fn a_file_with_every_setting_is_written_and_not_written_over() {
    let home = home();
    let config = |arguments: &[&str]| run(&mut tasker(home.path(), [&["config"], arguments].concat()));
    assert_eq!(config(&["init"]).code, 0);
    let file = home.path().join("tasker.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = config(&["init"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("tasker.toml exists already; --force overwrites it"), "{}", again.err);
    assert_eq!(config(&["init", "--force"]).code, 0);
    let shown = config(&["show"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("(tasker.toml, line "), "{}", shown.out);
}

#[test]
fn every_value_is_shown_with_its_origin_and_no_secret_is() {
    let home = home();
    std::fs::write(home.path().join("tasker.toml"), "[worker]\nslots = 3\n").unwrap();
    let mut show = tasker(home.path(), ["config", "show", "-o", "json", "--set", "log.level=debug"]);
    let said = run(show
        .env("TASKER__WORKER__PASSWORD", "hush")
        .env("TASKER__DATABASE__URL", "postgres://a:hush@b/c"));
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.out.contains("hush") && !said.err.contains("hush"), "{}", said.out);
    let all: Vec<serde_json::Value> = serde_json::from_str(&said.out).unwrap();
    let of = |name: &str| all.iter().find(|shown| shown["setting"] == name).expect(name);
    assert_eq!(
        (&of("worker.slots")["value"], &of("worker.slots")["origin"]),
        (&"3".into(), &"tasker.toml, line 2".into())
    );
    assert_eq!(of("worker.password")["origin"], "TASKER__WORKER__PASSWORD");
    assert_eq!(of("log.level")["origin"], "--set log.level");
    assert_eq!(of("log.keep")["origin"], "default");
    assert_eq!(of("log.keep")["variable"], "TASKER__LOG__KEEP");
}

#[tokio::test]
async fn what_settings_name_is_tried() {
    let mut cluster = Cluster::start(1, 1).await;
    let at = cluster.addresses();
    let sets = [
        format!("database.url={}", cluster.database().url),
        format!("kafka.bootstrap_servers={}", kafka_server()),
        format!("kafka.topic_prefix={}", own_prefix()),
        format!("backend.identity_url={}", at.identity),
        format!("worker.identity_url={}", at.identity),
        format!("worker.backend_url={}", at.backend),
        "worker.client_id=rig".to_owned(),
        "worker.client_secret=a secret of the test".to_owned(),
    ];
    let check = |more: &[&str]| {
        let home = home();
        let sets = sets.iter().map(String::as_str).chain(more.iter().copied()).flat_map(|set| ["--set", set]);
        run(&mut tasker(home.path(), ["config", "check"].into_iter().chain(sets)))
    };
    let sound = check(&[]);
    assert_eq!(sound.code, 0, "{}", sound.out);
    for said in [
        "ok   settings",
        "ok   database.url            the database of tasks answers",
        "ok   kafka                   the brokers answer; ",
        "ok   backend.identity_url    Identity answers at",
        "ok   worker                  it signs in",
    ] {
        assert!(sound.out.contains(said), "{said}: {}", sound.out);
    }
    for (set, said) in [
        ("database.url=postgres://nobody@127.0.0.1:1/none", "BAD  database.url"),
        ("kafka.bootstrap_servers=127.0.0.1:1", "BAD  kafka"),
        ("backend.identity_url=http://127.0.0.1:1", "is Identity running there?"),
        ("worker.client_secret=wrong", "BAD  worker"),
        ("worker.simulate_work_ms=[2, 1]", "the first number is the shortest"),
    ] {
        let bad = check(&[set]);
        assert_eq!(bad.code, 2, "{set}: {}", bad.out);
        assert!(bad.out.contains(said), "{set}: {}", bad.out);
    }
    cluster.stop();
}
