//! The log: its rotation, its level and file after SIGHUP, the audit lines, the fields of lines about tasks, and no secrets.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::command::{CommandOutput, run, run_with_input, set_arguments, tasker_command};
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::MAX_WAIT;

/// The settings of a log in a file, one JSON object a line.
const JSON_FILE: [&str; 3] = ["log.file=tasker.log", "log.format=json", "log.level=info"];

/// Every line of the log file and of the rotated ones.
fn lines(home: &TempDir) -> Vec<Value> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(home.path()).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("tasker.log")) {
            let text = std::fs::read_to_string(path).expect("the log is UTF-8");
            let objects = text.lines().map(serde_json::from_str::<Value>);
            lines.extend(objects.map(|object| object.expect("each line is a JSON object")));
        }
    }
    lines
}

/// Runs `tasker login NAME` with a password, with the session file in `home`.
fn login(home: &Path, name: &str, password: &str) -> CommandOutput {
    let mut command = tasker_command(home, ["login", name, "--password-stdin"]);
    run_with_input(command.env("XDG_STATE_HOME", home), password)
}

#[tokio::test]
async fn audit_lines_are_logged_at_every_level() {
    let up = TaskerUp::start_with(&[&JSON_FILE[..], &["log.level=off"]].concat());
    let urls = up.urls();
    let admin = ApiClient::register_administrator(&urls, &up.setup_link, "root").await;
    let ann = ApiClient::register(&urls, "ann").await;
    let id = ann.submit("SLEEP", json!({"ms": 60_000}), 60_000).await;
    ann.cancel(id).await;
    ann.get("/api/Worker").await;
    let refused = admin.patch(&format!("/api/Task/request/{id}?workerName=late")).await;
    assert_eq!(refused.status(), 409);
    assert_eq!(login(up.home(), "ann", "not hers").code, 4);
    let (home, _) = up.stop();
    let lines = lines(&home);
    let audit_lines = lines.iter().filter(|line| line["target"] == "audit");
    let events: BTreeSet<_> =
        audit_lines.map(|line| line["audit.event"].as_str().expect("the line has an event")).collect();
    for event in [
        "account_created",
        "token_issued",
        "task_cancelled",
        "role_missing",
        "claim_refused",
        "sign_in_refused",
    ] {
        assert!(events.contains(event), "{event}: {events:?}");
    }
    assert!(lines.iter().all(|line| line["target"] == "audit"), "`off` silences every other line");
}

#[tokio::test]
async fn a_line_about_a_task_names_its_grant_worker_and_trace() {
    let up = TaskerUp::start_with(&[&JSON_FILE[..], &["log.level=debug"]].concat());
    let ann = ApiClient::register(&up.urls(), "ann").await;
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace_id}-00f067aa0ba902b7-00");
    let id = ann.submit_traced("SLEEP", json!({"ms": 60_000}), 50, &traceparent).await;
    ann.wait_until_ended(id).await;
    let (home, _) = up.stop();
    let lines = lines(&home);
    let line = |message: &str| {
        let line = lines.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("no line says: {message}"))
    };
    let names_task_and_trace =
        |fields: &Value| fields["task.id"] == id.to_string() && fields["trace.id"] == trace_id;
    let accepted = line("a task was accepted");
    assert!(names_task_and_trace(accepted), "{accepted}");
    let stopped = line(&format!("task {id} was stopped at its deadline"));
    assert!(names_task_and_trace(stopped), "{stopped}");
    assert_eq!(stopped["task.attempt"], 1, "{stopped}");
    assert!(stopped["worker.name"].is_string(), "{stopped}");
    assert_eq!((&stopped["span"], &accepted["span"]), (&json!("task"), &Value::Null));
    for line in &lines {
        let members = line.as_object().expect("a line is an object");
        assert!(members.values().all(|value| !value.is_object() && !value.is_array()), "{line}");
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
    }
}

#[test]
fn a_file_is_rotated_by_size_and_only_some_rotated_files_are_kept() {
    let more = ["log.level=debug", "log.rotate=2KB", "log.keep=2"];
    let up = TaskerUp::start_with(&[&JSON_FILE[..], &more].concat());
    for _ in 0..20 {
        up.run_command(["submit", "ECHO", "--ttl", "30s", "--wait"]);
    }
    let (home, status) = up.stop();
    assert!(status.success());
    let mut names: Vec<String> = std::fs::read_dir(home.path())
        .expect("the directory can be read")
        .map(|entry| entry.expect("the entry can be read").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.starts_with("tasker.log"))
        .collect();
    names.sort();
    assert_eq!(names, ["tasker.log", "tasker.log.1", "tasker.log.2"]);
    let rotated = std::fs::metadata(home.path().join("tasker.log.1")).expect("the file exists");
    assert!(rotated.len() <= 2000, "{} bytes", rotated.len());
    assert!(!lines(&home).is_empty());
}

#[test]
fn sighup_changes_the_level_and_reopens_the_file() {
    let home = TempDir::new().expect("a temporary directory can be created");
    let settings =
        |level: &str| format!("[log]\nlevel = \"{level}\"\nfile = \"tasker.log\"\nformat = \"json\"\n");
    std::fs::write(home.path().join("tasker.toml"), settings("warn")).expect("a file");
    let mut up = TaskerUp::start_in(home, &[]);
    up.run_command(["submit", "ECHO", "--ttl", "30s", "--wait"]);
    let file = up.home().join("tasker.log");
    std::fs::rename(&file, up.home().join("moved")).expect("the file exists");
    std::fs::write(up.home().join("tasker.toml"), settings("debug")).expect("a file");
    up.process().signal("HUP");
    // The new level is logged in the file that was opened anew.
    let is_reopened =
        || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("the level of the log is debug"));
    let deadline = Instant::now() + MAX_WAIT;
    while !is_reopened() {
        assert!(Instant::now() < deadline, "the settings were not reloaded");
        std::thread::yield_now();
    }
    let id = up.run_command(["submit", "ECHO", "--ttl", "30s", "--wait", "-o", "id"]).stdout;
    let (home, _) = up.stop();
    let mut lines = lines(&home);
    lines.retain(|line| line["task.id"] == id.as_str());
    assert!(lines.iter().any(|line| line["message"] == "a task was accepted"), "{lines:?}");
    let moved = std::fs::read_to_string(home.path().join("moved")).expect("the log is UTF-8");
    assert!(!moved.contains("a task was accepted"), "the level of the moved file was `warn`");
}

#[test]
fn sighup_does_not_wait_for_a_settings_file_that_does_not_end() {
    let home = TempDir::new().expect("a temporary directory can be created");
    std::fs::write(home.path().join("tasker.toml"), "[log]\nlevel = \"info\"\n").expect("a file");
    let mut up = TaskerUp::start_in(home, &[]);
    let file = up.home().join("tasker.toml");
    std::fs::remove_file(&file).expect("the file is ours");
    assert!(std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo runs").success());
    up.process().signal("HUP");
    up.process().wait_for_line("the settings were not reloaded");
    assert_eq!(up.run_command(["submit", "ECHO", "--ttl", "30s", "--wait"]).code, 0);
    let (_, status) = up.stop();
    assert!(status.success());
}

#[test]
fn a_log_file_that_cannot_be_written_and_an_invalid_rotation_are_refused_at_the_start() {
    let home = TempDir::new().expect("a temporary directory can be created");
    let output = run(&mut tasker_command(home.path(), ["up", "--set", "log.file=/nowhere/tasker.log"]));
    assert_eq!(output.code, 2);
    let expected = "log.file: /nowhere/tasker.log cannot be written";
    assert!(output.stderr.contains(expected), "{}", output.stderr);
    let output = run(&mut tasker_command(home.path(), ["up", "--set", "log.rotate=weekly"]));
    assert_eq!(output.code, 2);
    let expected = r#""daily", "hourly", "never", or a size like "100MB""#;
    assert!(output.stderr.contains(expected), "{}", output.stderr);
}

/// Passwords, client secrets, the secret of the local account, registration tokens and access tokens, at the level `trace`.
#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let secrets = TempDir::new().expect("a temporary directory can be created");
    let secret_file = secrets.path().join("robot");
    std::fs::write(&secret_file, "planted-client-secret\n").expect("a file");
    let clients = format!(
        r#"identity.clients=[{{ id = "robot", secret_file = "{}", roles = ["Worker"] }}]"#,
        secret_file.display()
    );
    let more = [clients.as_str(), "log.level=trace"];
    let up = TaskerUp::start_with(&[&JSON_FILE[..], &more].concat());
    let (urls, setup_link) = (up.urls(), up.setup_link.clone());
    let root = ApiClient::register_administrator(&urls, &setup_link, "root").await;
    let program = ApiClient::sign_in_as_program(&urls, "robot", "planted-client-secret").await;
    root.submit("ECHO", json!({"a": 1}), 30_000).await;
    for arguments in [["list", "-o", "json"], ["whoami", "-o", "json"]] {
        assert_eq!(up.run_command(arguments).code, 0);
    }
    assert_eq!(login(up.home(), "root", "planted-wrong-password").code, 4);
    let local_secret =
        std::fs::read_to_string(up.home().join(".tasker/local.secret")).expect("the file exists");
    let (home, _) = up.stop();
    let lines = lines(&home);
    assert!(lines.len() > 100, "`trace` logs everything: {} lines", lines.len());
    let (_, registration_token) = setup_link.split_once("setup=").expect("the link holds a token");
    let signature = |client: &ApiClient| {
        client.token().rsplit('.').next().expect("a token ends with its signature").to_owned()
    };
    for secret in [
        PASSWORD,
        "planted-client-secret",
        "planted-wrong-password",
        local_secret.trim(),
        registration_token,
        &signature(&root),
        &signature(&program),
    ] {
        let found = lines.iter().find(|line| line.to_string().contains(secret));
        assert!(found.is_none(), "{secret}: {found:?}");
    }
}

/// The thread that writes to standard error is behind the process here: its queue is written before the process ends.
#[test]
fn every_line_is_on_standard_error_when_a_service_ends_with_an_error() {
    const VARIABLES: usize = 500;
    let home = TempDir::new().expect("a temporary directory can be created");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let listen = format!("backend.listen={}", taken.local_addr().expect("the port is bound"));
    let settings = [listen.as_str(), "database.url=sqlite:tasks.db", "log.format=json"];
    let mut command = tasker_command(home.path(), ["backend"].into_iter().chain(set_arguments(&settings)));
    // Each unknown variable is one warning.
    command.envs((0..VARIABLES).map(|number| (format!("TASKER_UNKNOWN_{number}"), "x")));
    let output = run(&mut command);
    assert_eq!(output.code, 1, "{}", output.stderr);
    let (log, error) = output.stderr.split_once("error: ").expect("the error is printed");
    assert!(error.contains("listens there already"), "{error}");
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is whole"));
    let warned = lines.filter(|line| line.to_string().contains("TASKER_UNKNOWN_")).count();
    assert_eq!(warned, VARIABLES);
}

#[test]
fn every_line_is_on_standard_error_when_a_signal_ends_the_process() {
    let mut up = TaskerUp::start_with(&["log.level=trace", "log.format=json"]);
    up.run_command(["submit", "ECHO", "--ttl", "30s", "--wait"]);
    up.process().terminate();
    assert!(up.process().wait_for_exit().success());
    let lines = up.process().output().iter().filter(|line| line.starts_with('{'));
    let lines: Vec<Value> =
        lines.map(|line| serde_json::from_str(line).expect("each line is whole")).collect();
    let position = |start: &str| {
        let is_it = |line: &Value| line["message"].as_str().is_some_and(|text| text.starts_with(start));
        lines.iter().position(is_it).unwrap_or_else(|| panic!("no line says: {start}"))
    };
    assert!(position("a task was accepted") < position("stopping: "));
}
