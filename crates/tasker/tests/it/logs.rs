//! The log: to a file that is begun anew, as loud as it is told to be while it runs, with who did what, and without secrets.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::kit::person::Person;
use crate::kit::process::{Up, run_with, tasker};

/// Every line of the log file and of those before it.
fn lines(home: &TempDir) -> Vec<Value> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(home.path()).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tasker.log")) {
            let text = std::fs::read_to_string(path).expect("text");
            lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object")));
        }
    }
    lines
}

const TO_A_FILE: [&str; 3] = ["log.file=tasker.log", "log.format=json", "log.level=info"];

#[tokio::test]
async fn who_did_what_is_told_however_quiet_the_rest_is() {
    let settings = [&TO_A_FILE[..], &["log.level=off"]].concat();
    let up = Up::start_with(&settings);
    let at = up.addresses();
    let admin = Person::administrator(&at, &up.setup, "root").await;
    let ann = Person::register(&at, "ann").await;
    let id = ann.submit("SLEEP", serde_json::json!({"ms": 60_000}), 60_000).await;
    ann.cancel(id).await;
    ann.get("/api/Worker").await;
    let refused = admin.patch(&format!("/api/Task/request/{id}?workerName=late")).await;
    assert_eq!(refused.status(), 409);
    let wrong = run_with(
        tasker(up.home(), ["login", "ann", "--password-stdin"]).env("XDG_STATE_HOME", up.home()),
        "not hers",
    );
    assert_eq!(wrong.code, 4);
    let (home, _) = up.stop();
    let events: BTreeSet<String> = lines(&home)
        .iter()
        .filter(|line| line["target"] == "audit")
        .map(|line| line["audit.event"].as_str().expect("an event").to_owned())
        .collect();
    for event in
        ["account_created", "token_issued", "task_cancelled", "role_missing", "claim_refused", "sign_in_refused"]
    {
        assert!(events.contains(event), "{event}: {events:?}");
    }
    assert!(lines(&home).iter().all(|line| line["target"] == "audit"), "nothing else is told");
}

#[tokio::test]
async fn a_line_about_a_task_says_which_grant_whose_and_of_which_trace() {
    let up = Up::start_with(&[&TO_A_FILE[..], &["log.level=debug"]].concat());
    let ann = Person::register(&up.addresses(), "ann").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-00");
    let id = ann.submit_traced("SLEEP", serde_json::json!({"ms": 60_000}), 50, &traceparent).await;
    ann.ended(id).await;
    let (home, _) = up.stop();
    let (accepted, stopped) = ("a task was accepted", format!("task {id} was stopped at its deadline"));
    for said in [accepted, &*stopped] {
        let lines = lines(&home);
        let line = lines.iter().find(|line| line["message"] == said).unwrap_or_else(|| panic!("{said}"));
        let about = if said == accepted { line } else { &line["span"] };
        assert_eq!(
            (&about["task.id"], &about["trace.id"]),
            (&id.to_string().into(), &trace.into()),
            "{line}"
        );
        if said != accepted {
            assert_eq!(about["task.attempt"], 1, "{line}");
            assert!(about["worker.name"].is_string(), "{line}");
        }
    }
}

#[test]
fn a_file_is_begun_anew_and_so_many_are_kept() {
    let home = TempDir::new().expect("a directory");
    let more = ["log.level=debug", "log.rotate=2KB", "log.keep=2"];
    let up = Up::start_in(home, &[&TO_A_FILE[..], &more].concat());
    for _ in 0..20 {
        up.ask(["submit", "ECHO", "--ttl", "30s", "--wait"]);
    }
    let (home, status) = up.stop();
    assert!(status.success());
    let mut names: Vec<String> = std::fs::read_dir(home.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .filter(|name| name.starts_with("tasker.log"))
        .collect();
    names.sort();
    assert_eq!(names, ["tasker.log", "tasker.log.1", "tasker.log.2"]);
    assert!(std::fs::metadata(home.path().join("tasker.log.1")).expect("it is there").len() <= 2000);
    assert!(!lines(&home).is_empty());
}

#[test]
fn a_hangup_changes_the_level_and_opens_the_file_anew() {
    let home = TempDir::new().expect("a directory");
    let settings =
        |level: &str| format!("[log]\nlevel = \"{level}\"\nfile = \"tasker.log\"\nformat = \"json\"\n");
    std::fs::write(home.path().join("tasker.toml"), settings("warn")).expect("a file");
    let mut up = Up::start_in(home, &[]);
    up.ask(["submit", "ECHO", "--ttl", "30s", "--wait"]);
    let file = up.home().join("tasker.log");
    std::fs::rename(&file, up.home().join("moved")).expect("a file");
    std::fs::write(up.home().join("tasker.toml"), settings("debug")).expect("a file");
    up.process().signal("HUP");
    // The level is told of in the file that was opened anew.
    let told =
        || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("the level of the log is debug"));
    let deadline = Instant::now() + Duration::from_mins(1);
    while !told() {
        assert!(Instant::now() < deadline, "the settings were not read again");
        std::thread::yield_now();
    }
    let id = up.ask(["submit", "ECHO", "--ttl", "30s", "--wait", "-o", "id"]).out;
    let (home, _) = up.stop();
    let about = lines(&home);
    let about: Vec<&Value> = about.iter().filter(|line| line["task.id"] == id.as_str()).collect();
    assert!(about.iter().any(|line| line["message"] == "a task was accepted"), "{about:?}");
    let moved = std::fs::read_to_string(home.path().join("moved")).expect("text");
    assert!(!moved.contains("a task was accepted"), "that was not worth a line");
}

#[test]
fn a_hangup_waits_for_no_file_that_does_not_end() {
    let home = TempDir::new().expect("a directory");
    std::fs::write(home.path().join("tasker.toml"), "[log]\nlevel = \"info\"\n").expect("a file");
    let mut up = Up::start_in(home, &[]);
    let file = up.home().join("tasker.toml");
    std::fs::remove_file(&file).expect("our own file");
    assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("it runs").success());
    up.process().signal("HUP");
    up.process().after("the settings were not read again");
    assert_eq!(up.ask(["submit", "ECHO", "--ttl", "30s", "--wait"]).code, 0);
    let (_, status) = up.stop();
    assert!(status.success());
}

#[test]
fn a_place_that_cannot_be_written_is_told_at_the_start() {
    let home = TempDir::new().expect("a directory");
    let said = run_with(&mut tasker(home.path(), ["up", "--set", "log.file=/nowhere/tasker.log"]), "");
    assert_eq!(said.code, 2);
    assert!(said.err.contains("log.file: /nowhere/tasker.log cannot be written"), "{}", said.err);
    let said = run_with(&mut tasker(home.path(), ["up", "--set", "log.rotate=weekly"]), "");
    assert_eq!(said.code, 2);
    assert!(said.err.contains(r#""daily", "hourly", "never", or a size like "100MB""#), "{}", said.err);
}

/// Passwords, tokens and links stand in no log, however much it tells.
#[tokio::test]
async fn no_secret_is_ever_logged() {
    let secrets = TempDir::new().expect("a directory");
    let secret = secrets.path().join("robot");
    std::fs::write(&secret, "planted-client-secret\n").expect("a file");
    let clients = format!(
        r#"identity.clients=[{{ id = "robot", secret_file = "{}", roles = ["Worker"] }}]"#,
        secret.display()
    );
    let more = [clients.as_str(), "log.level=trace"];
    let up = Up::start_with(&[&TO_A_FILE[..], &more].concat());
    let (at, setup) = (up.addresses(), up.setup.clone());
    let root = Person::administrator(&at, &setup, "root").await;
    let program = Person::program(&at, "robot", "planted-client-secret").await;
    root.submit("ECHO", serde_json::json!({"a": 1}), 30_000).await;
    for arguments in [["list", "-o", "json"], ["whoami", "-o", "json"]] {
        assert_eq!(up.ask(arguments).code, 0);
    }
    let wrong = run_with(
        tasker(up.home(), ["login", "root", "--password-stdin"]).env("XDG_STATE_HOME", up.home()),
        "planted-wrong-password",
    );
    assert_eq!(wrong.code, 4);
    let local = std::fs::read_to_string(up.home().join(".tasker/local.secret")).expect("it is there");
    let (home, _) = up.stop();
    let said = lines(&home);
    assert!(said.len() > 100, "it tells everything");
    let (_, link) = setup.split_once("setup=").expect("a link");
    let signature = |person: &Person| person.token().rsplit('.').next().expect("a signature").to_owned();
    for secret in [
        "seven-green-herons",
        "planted-client-secret",
        "planted-wrong-password",
        local.trim(),
        link,
        &signature(&root),
        &signature(&program),
    ] {
        let told = said.iter().find(|line| line.to_string().contains(secret));
        assert!(told.is_none(), "{secret}: {told:?}");
    }
}
