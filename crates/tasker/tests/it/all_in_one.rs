//! `tasker up`: what it prints, who may read its data, and how it stops.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::kit::command::{run, tasker_command};
use crate::kit::process::Process;
use crate::kit::tasker_up::{TaskerUp, UP_ON_FREE_PORTS};
use crate::kit::wait_until::MAX_WAIT;

fn mode(path: &Path) -> u32 {
    path.metadata().expect("the file exists").permissions().mode() & 0o777
}

/// Waits until a worker has claimed the task.
fn wait_until_claimed(up: &TaskerUp, id: &str) {
    let deadline = Instant::now() + MAX_WAIT;
    while up.run_command(["get", id]).stdout.contains("CREATED") {
        assert!(Instant::now() < deadline, "no worker claims task {id}");
    }
}

#[test]
fn it_prints_its_urls_and_only_its_owner_may_read_its_data() {
    let mut up = TaskerUp::start();
    let printed = up.process().output().join("\n");
    let beginnings =
        ["Backend:    http://127.0.0.1:", "Identity:   http://127.0.0.1:", "Setup link: http://127.0.0.1:"];
    for beginning in beginnings {
        assert!(printed.contains(beginning), "{beginning}: {printed}");
    }
    let data = up.home().join(".tasker");
    assert_eq!(mode(&data), 0o700);
    for secret in ["local.secret", "identity.key"] {
        assert_eq!(mode(&data.join(secret)), 0o600, "{secret}");
    }
    assert!(up.stop().1.success());
}

#[test]
fn the_databases_are_private_in_a_directory_that_others_may_enter() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join(".tasker");
    std::fs::create_dir(&data).expect("a directory");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let up = TaskerUp::start_in(home, &["log.file=tasker.log"]);
    for database in ["identity.db", "identity.db-wal", "identity.db-shm", "tasks.db", "tasks.db-wal"] {
        assert_eq!(mode(&data.join(database)), 0o600, "{database}");
    }
    assert_eq!(mode(&up.home().join("tasker.log")), 0o600);
    let doctor = |database: &str| up.run_command(["doctor", "identity", "--set", database]).stdout;
    let setting = "database.url=sqlite:.tasker/tasks.db";
    assert!(doctor(setting).contains("only its owner may read .tasker/identity.db"), "{}", doctor(setting));
    std::fs::set_permissions(up.home(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    std::fs::set_permissions(data.join("identity.db"), std::fs::Permissions::from_mode(0o644))
        .expect("a mode");
    assert!(doctor(setting).contains("others may read .tasker/identity.db"), "{}", doctor(setting));
}

#[test]
fn a_second_process_on_the_same_data_directory_is_refused() {
    let mut up = TaskerUp::start();
    let second = run(&mut tasker_command(up.home(), UP_ON_FREE_PORTS));
    assert_eq!(second.code, 1);
    assert!(second.stderr.starts_with("error: another `tasker up` runs on ./.tasker"), "{}", second.stderr);
    assert!(second.stderr.contains(&format!(" as process {}:", up.process().id())), "{}", second.stderr);
}

#[test]
fn a_second_process_on_the_same_sqlite_file_is_refused_and_a_command_is_not() {
    let mut up = TaskerUp::start();
    let id = up.process().id();
    std::os::unix::fs::symlink(".tasker/tasks.db", up.home().join("link.db")).expect("a link");
    for (service, setting, path) in [
        ("backend", "database.url", ".tasker/tasks.db"),
        ("backend", "database.url", "link.db"),
        ("identity", "identity.database_url", ".tasker/identity.db"),
    ] {
        let database = format!("{setting}=sqlite:{path}");
        let listen = format!("{service}.listen=127.0.0.1:0");
        let second = up.run_command([service, "--set", &database, "--set", &listen]);
        assert_eq!(second.code, 1, "{}", second.stderr);
        let expected = format!("error: {setting}: another Tasker serves {path} as process {id}: stop it, or");
        assert!(second.stderr.contains(&expected), "{}", second.stderr);
    }
    for command in [&["doctor", "identity"][..], &["migrate"], &["user", "unlock", "local", "--on-server"]] {
        let arguments = [command, &["--set", "database.url=sqlite:.tasker/tasks.db"]].concat();
        let output = up.run_command(arguments);
        assert_eq!(output.code, 0, "{command:?}: {} {}", output.stdout, output.stderr);
    }
    let home = up.kill();
    assert!(TaskerUp::start_in(home, &[]).stop().1.success(), "a killed process leaves no lock");
}

#[test]
fn an_address_in_use_names_the_tasker_that_listens_there() {
    let mut up = TaskerUp::start();
    let address = up.urls().backend.replace("http://", "");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let second = run(&mut tasker_command(elsewhere.path(), ["up", "--backend-addr", &address]));
    assert_eq!(second.code, 1, "{}", second.stderr);
    let expected = format!("another program, process {} (tasker up), listens there", up.process().id());
    assert!(second.stderr.contains(&expected), "{}", second.stderr);
}

#[test]
fn a_running_task_is_finished_before_the_stop_and_is_there_after_the_next_start() {
    let up = TaskerUp::start();
    let id = up.run_command(["submit", "GENERATE_LOGIN", "--ttl", "30s"]).stdout;
    wait_until_claimed(&up, &id);
    let (home, status) = up.stop();
    assert!(status.success());

    let up = TaskerUp::start_in(home, &[]);
    assert!(up.run_command(["get", &id]).stdout.contains("FINISHED"));
    assert_eq!(up.run_command(["result", &id]).stdout.len(), "\"tencharact\"".len());
}

#[test]
fn a_task_that_does_not_end_within_the_drain_limit_is_released() {
    let up = TaskerUp::start_with(&["worker.drain_ms=100"]);
    let id = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).stdout;
    wait_until_claimed(&up, &id);
    let (home, status) = up.stop();
    assert!(status.success());

    let up = TaskerUp::start_in(home, &[]);
    let task = up.run_command(["get", &id, "-o", "json"]).stdout;
    let task: serde_json::Value = serde_json::from_str(&task).unwrap();
    assert_eq!(task["endDate"], serde_json::Value::Null, "{task}");
    assert_eq!(up.run_command(["cancel", &id]).code, 0);
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    // The wait for the task is longer than any pause of a busy machine between the two signals.
    let mut up = TaskerUp::start_with(&["log.level=info", "worker.drain_ms=60000"]);
    let id = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).stdout;
    wait_until_claimed(&up, &id);
    up.process().terminate();
    up.process().wait_for_line("Stopping: waits up to 60.0 s for 1 running task;");
    up.process().terminate();
    assert_eq!(up.process().wait_for_exit().code(), Some(1));
    // The log is written by a thread of its own, so its line may come before or after the notice.
    assert_eq!(up.process().count_lines("stopping:"), 1);
    assert!(up.process().output().contains(&"error: interrupted by a second signal".to_owned()));

    let mut query = Command::new("sqlite3");
    query.current_dir(up.home()).args([".tasker/tasks.db", "select phase from unfinished_task"]);
    assert_eq!(run(&mut query).stdout, "1", "the task was released, so it is ready again");
}

#[test]
fn it_ends_with_its_terminal() {
    let home = tempfile::TempDir::new().unwrap();
    let command = format!("exec {} {}", env!("CARGO_BIN_EXE_tasker"), UP_ON_FREE_PORTS.join(" "));
    let mut terminal = Command::new("script");
    terminal.current_dir(home.path()).args([
        "--quiet",
        "--return",
        "--flush",
        "--command",
        &command,
        "/dev/null",
    ]);
    let mut terminal = Process::start(&mut terminal);
    terminal.wait_for_line("Ready.");
    terminal.kill();
    let lock = std::fs::File::open(home.path().join(".tasker/lock")).unwrap();
    // Returns when the process has ended; a process that lives on holds the lock for ever.
    lock.lock().unwrap();
}

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let mut up = TaskerUp::start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", up.process().id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = files.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{files}");
}

#[test]
fn a_client_that_does_not_finish_its_request_does_not_prevent_the_stop() {
    let mut up = TaskerUp::start();
    let mut client = TcpStream::connect(up.identity_url.strip_prefix("http://").unwrap()).unwrap();
    let head = "POST /connect/token HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    client.write_all(format!("{head}content-length: 100\r\n\r\n").as_bytes()).unwrap();
    // Connections are accepted in their order: once this command is answered, that of the client has been accepted.
    assert_eq!(up.run_command(["list"]).code, 0);
    up.process().stop();
}

#[test]
fn a_json_log_has_one_object_a_line() {
    let mut up = TaskerUp::start_with(&["log.level=info", "log.format=json"]);
    up.process().stop();
    let printed = ["Backend:", "Identity:", "Setup link:", "Ready."];
    let is_printed = |line: &&String| printed.iter().any(|beginning| line.starts_with(beginning));
    let mut logged = up.process().output().iter().filter(|line| !is_printed(line)).peekable();
    assert!(logged.peek().is_some(), "a process logs something at `info`");
    for line in logged {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(event["message"].is_string() && event["level"].is_string(), "{line}");
    }
}

#[test]
fn the_largest_parameters_and_results_are_settings() {
    let up = TaskerUp::start_with(&["backend.max_parameters_bytes=60", "backend.max_result_bytes=20"]);
    let submit =
        |text: &str| up.run_command(["submit", "ECHO", &format!("{text:?}"), "--ttl", "30s", "--wait"]);
    assert_eq!(submit("short").code, 0);
    let large_result = submit("a result of more than twenty bytes");
    assert_eq!(large_result.code, 5, "{}", large_result.stderr);
    assert!(large_result.stderr.contains("at most 20 are kept"), "{}", large_result.stderr);
    let large_parameters = submit(&"x".repeat(60));
    assert_eq!(large_parameters.code, 1, "{}", large_parameters.stderr);
    assert!(large_parameters.stderr.contains("60"), "{}", large_parameters.stderr);
}

/// JSON Schema calls a number without a fraction an integer, however it is written.
#[test]
fn an_integer_may_be_written_with_a_point_or_an_exponent() {
    let up = TaskerUp::start();
    for (name, parameters, result_length) in [
        ("SLEEP", r#"{"ms": 10.0}"#, 2),
        ("GENERATE_NUMBER", r#"{"length": 1.2e1}"#, 12),
        ("GENERATE_LOGIN", r#"{"length": 5.00}"#, 5 + "\"\"".len()),
    ] {
        let output = up.run_command(["submit", name, parameters, "--ttl", "30s", "--wait"]);
        assert_eq!(output.code, 0, "{name}: {}", output.stderr);
        assert_eq!(output.stdout.len(), result_length, "{name}: {}", output.stdout);
    }
    let fraction = up.run_command(["submit", "SLEEP", r#"{"ms": 1.5}"#, "--ttl", "30s", "--wait"]);
    assert_eq!(fraction.code, 1, "{}", fraction.stderr);
}
