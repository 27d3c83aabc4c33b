//! Invalid settings are refused with a sentence that names them, before a file, a database or a listener is opened.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use testkit::{kafka_address, unique_prefix};

use crate::kit::cluster::{Cluster, WORKER_CLIENT, WORKER_SECRET};
use crate::kit::command::{run, set_arguments, tasker_command};
use crate::kit::tasker_up::{TaskerUp, UP_ON_FREE_PORTS};

fn home() -> TempDir {
    TempDir::new().expect("a temporary directory")
}

/// Runs a command that must refuse its settings (exit code 2), and returns its standard error.
fn refusal(home: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = tasker_command(home.path(), arguments.iter().copied());
    let output = run(command.envs(variables.iter().copied()));
    assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{}", output.stderr);
    output.stderr
}

#[test]
fn an_unknown_key_in_the_file_is_refused_with_its_line_and_the_nearest_key() {
    let home = home();
    std::fs::write(home.path().join("tasker.toml"), "[backend]\ncheck_periodms = 5\n").unwrap();
    let stderr = refusal(&home, &["backend"], &[]);
    assert!(stderr.starts_with("error: tasker.toml, line 2, column 1: unknown field"), "{stderr}");
    assert!(stderr.ends_with("did you mean `check_period_ms`?"), "{stderr}");
}

#[test]
fn a_file_that_is_named_by_config_must_exist() {
    let stderr = refusal(&home(), &["backend", "--config", "absent.toml"], &[]);
    assert!(stderr.starts_with("error: the settings file absent.toml cannot be read"), "{stderr}");
}

#[test]
fn flags_win_over_the_environment_and_the_environment_over_the_file() {
    let home = home();
    std::fs::write(home.path().join("tasker.toml"), "[backend]\nlisten = \"10.0.0.1:1\"\n").unwrap();
    assert!(refusal(&home, &["backend"], &[]).contains("10.0.0.1:1"));
    let variable = ("TASKER__BACKEND__LISTEN", "10.0.0.2:2");
    assert!(refusal(&home, &["backend"], &[variable]).contains("10.0.0.2:2"));
    let flag = ["backend", "--set", "backend.listen=10.0.0.3:3"];
    assert!(refusal(&home, &flag, &[variable]).contains("10.0.0.3:3"));
}

#[test]
fn an_invalid_variable_is_refused_by_its_name() {
    let stderr = refusal(&home(), &["worker"], &[("TASKER__WORKER__SLOTS", "many")]);
    assert!(stderr.starts_with("error: TASKER__WORKER__SLOTS: invalid type"), "{stderr}");
    let stderr = refusal(&home(), &["worker"], &[("TASKER__WORKER__SLOT", "4")]);
    assert!(stderr.ends_with("did you mean `slots`?"), "{stderr}");
    let stderr = refusal(&home(), &["worker"], &[("TASKER__WORKER__PASSWORD_FILE", "absent")]);
    assert!(
        stderr.contains("TASKER__WORKER__PASSWORD_FILE: the secret file absent cannot be read"),
        "{stderr}"
    );
}

#[test]
fn variables_that_kubernetes_sets_for_services_are_ignored_with_a_warning() {
    let stderr = refusal(&home(), &["backend"], &[("TASKER_PORT", "tcp://10.0.0.1:80")]);
    assert!(stderr.contains("TASKER_PORT: not a setting, ignored"), "{stderr}");
    assert!(stderr.contains("\nerror: database.url is not set"), "{stderr}");
}

#[test]
fn every_command_says_once_which_variables_look_like_settings_and_are_none() {
    let home = home();
    for (command, code) in [(&["config", "show"][..], 0), (&["list"], 9), (&["migrate"], 2)] {
        let mut command = tasker_command(home.path(), command.iter().copied());
        let variables =
            [("TASKER_WORKER_SLOTS", "4"), ("TASKER_SERVICE_HOST", "10.0.0.1"), ("TASKER_TLS_CA", "")];
        let output = run(command.envs(variables));
        assert_eq!(output.code, code, "{}", output.stderr);
        let sentence = "TASKER_WORKER_SLOTS: not a setting, ignored; did you mean TASKER__WORKER__SLOTS?";
        assert_eq!(output.stderr.matches(sentence).count(), 1, "{}", output.stderr);
        assert_eq!(output.stderr.matches("not a setting").count(), 1, "{}", output.stderr);
    }
    let service = refusal(&home, &["backend"], &[("TASKER_WORKER_SLOTS", "4")]);
    assert_eq!(service.matches("did you mean TASKER__WORKER__SLOTS?").count(), 1, "{service}");
}

#[test]
fn relative_paths_in_a_settings_file_are_relative_to_the_file() {
    let home = home();
    let etc = home.path().canonicalize().unwrap().join("etc");
    std::fs::create_dir_all(etc.join("data")).unwrap();
    let settings = r#"
        [database]
        url = "sqlite:data/tasks.db"
        [identity]
        key_file = "identity.key"
        clients = [{ id = "rig", secret_file = "absent", roles = ["Worker"] }]
        [log]
        file = "/var/log/tasker.log"
    "#;
    std::fs::write(etc.join("tasker.toml"), settings).unwrap();
    let command = |arguments: &[&str]| {
        let file =
            ["--config", "etc/tasker.toml", "--set", "backend.tls_ca=ca.pem", "--set", "log.file=t.log"];
        run(&mut tasker_command(home.path(), [arguments, &file].concat()))
    };
    let shown = command(&["config", "show"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    for (setting, value, origin) in [
        ("identity.key_file", format!("{:?}", etc.join("identity.key")), "etc/tasker.toml, line 5"),
        ("backend.tls_ca", "\"ca.pem\"".to_owned(), "--set backend.tls_ca"),
        ("log.file", "\"t.log\"".to_owned(), "--set log.file"),
    ] {
        let line = shown.stdout.lines().find(|line| line.starts_with(&format!("{setting} "))).unwrap();
        assert!(line.ends_with(&format!("  {value}  ({origin})")), "{line}");
    }
    let secret = format!("\"{}\"", etc.join("absent").display());
    assert!(shown.stdout.contains(&secret), "{secret}: {}", shown.stdout);
    let other = "[database]\nurl = \"postgres://ann@h/db?sslrootcert=ca.pem\"\n";
    std::fs::write(etc.join("other.toml"), other).unwrap();
    let refused = refusal(&home, &["migrate", "--config", "etc/other.toml"], &[]);
    let certificate = format!("sslrootcert = {}: the file cannot be read", etc.join("ca.pem").display());
    assert!(refused.contains(&certificate), "{certificate}: {refused}");
    let migrated = command(&["migrate"]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    assert!(etc.join("data/tasks.db").exists() && etc.join("data/identity.db").exists());
    assert!(home.path().join("t.log").exists(), "an option is relative to the working directory");
}

#[test]
fn what_is_unsafe_on_other_addresses_than_loopback_is_refused() {
    let open = ["--set", "identity.listen=0.0.0.0:8081"];
    let stderr = refusal(&home(), &[&["identity"], &open[..]].concat(), &[]);
    assert!(stderr.contains("identity.allow_plaintext = true"), "{stderr}");
    let full = ["--set", "identity.open_registration=full", "--set", "identity.allow_plaintext=true"];
    let stderr = refusal(&home(), &[&["identity"], &open[..], &full[..]].concat(), &[]);
    assert!(stderr.contains("identity.open_registration"), "{stderr}");
    let stderr = refusal(&home(), &["up", "--backend-addr", "0.0.0.0:0"], &[]);
    assert!(stderr.contains("backend.allow_plaintext = true"), "{stderr}");
}

#[test]
fn settings_that_would_fail_later_are_refused_at_the_start() {
    let stderr = refusal(&home(), &["up", "--set", "backend.worker_lost_ms=1000"], &[]);
    assert!(stderr.starts_with("error: backend.worker_lost_ms = 1000 is less than 3 times"), "{stderr}");
    let origin = r#"backend.cors_origins=["https://app.example.org/"]"#;
    let stderr = refusal(&home(), &["backend", "--set", origin], &[]);
    assert!(stderr.starts_with("error: backend.cors_origins: "), "{stderr}");
}

#[test]
fn a_worker_without_credentials_is_refused() {
    let stderr = refusal(&home(), &["worker"], &[]);
    assert!(stderr.starts_with("error: a worker needs credentials"), "{stderr}");
}

#[test]
fn an_address_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("backend.listen={}", taken.local_addr().unwrap());
    let home = home();
    let output = run(&mut tasker_command(
        home.path(),
        ["backend", "--set", &listen, "--set", "database.url=sqlite:tasks.db"],
    ));
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("backend.listen = 127.0.0.1:"), "{}", output.stderr);
    let owner = format!("another program, process {} (", std::process::id());
    assert!(output.stderr.contains(&owner), "{owner}: {}", output.stderr);
    assert!(output.stderr.contains("), listens there already; stop it, or choose"), "{}", output.stderr);
}

#[test]
fn the_help_lists_the_commands_and_the_exit_codes() {
    let output = run(&mut tasker_command(home().path(), ["--help"]));
    assert_eq!(output.code, 0);
    for part in ["up", "migrate", "submit", "Exit codes:", "6    the task expired"] {
        assert!(output.stdout.contains(part), "{part}: {}", output.stdout);
    }
    assert_eq!(run(&mut tasker_command(home().path(), ["no-such-command"])).code, 2);
}

#[test]
fn an_invalid_database_url_or_log_level_is_named_with_its_setting() {
    let home = tempfile::tempdir().unwrap();
    for (setting, expected) in [
        ("database.url=mysql://h/tasks", "database.url: the address of a database must begin with"),
        ("log.level=inof", "log.level = \"inof\": `inof` is not"),
        ("log.level=", "is not error, warn"),
    ] {
        let arguments = UP_ON_FREE_PORTS.into_iter().chain(["--set", setting]);
        let output = run(&mut tasker_command(home.path(), arguments));
        assert_eq!(output.code, 2, "{}", output.stderr);
        assert!(output.stderr.contains(expected), "{}", output.stderr);
    }
}

#[test]
fn config_init_writes_a_file_with_every_setting_and_overwrites_none() {
    let home = home();
    let config =
        |arguments: &[&str]| run(&mut tasker_command(home.path(), [&["config"], arguments].concat()));
    assert_eq!(config(&["init"]).code, 0);
    let file = home.path().join("tasker.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = config(&["init"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("tasker.toml exists already; --force overwrites it"), "{}", again.stderr);
    assert_eq!(config(&["init", "--force"]).code, 0);
    let shown = config(&["show"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(!shown.stdout.contains("(tasker.toml, line "), "the file sets nothing: {}", shown.stdout);
}

#[test]
fn the_first_task_after_config_init_finishes() {
    let home = home();
    assert_eq!(run(&mut tasker_command(home.path(), ["config", "init"])).code, 0);
    let up = TaskerUp::start_in(home, &[]);
    let login = up.run_command(["submit", "GENERATE_LOGIN", "--ttl", "5s", "--wait"]);
    assert_eq!(login.code, 0, "{}", login.stderr);
}

#[test]
fn a_byte_order_mark_before_settings_secrets_and_parameters_is_skipped() {
    let home = home();
    std::fs::write(home.path().join("tasker.toml"), "\u{feff}[backend]\nlisten = \"10.0.0.1:1\"\n").unwrap();
    assert!(refusal(&home, &["backend"], &[]).contains("10.0.0.1:1"));
    std::fs::write(home.path().join("url"), "\u{feff}mysql://h/d").unwrap();
    let listen = ("TASKER__BACKEND__LISTEN", "127.0.0.1:0");
    let refused = refusal(&home, &["backend"], &[listen, ("TASKER__DATABASE__URL_FILE", "url")]);
    assert!(!refused.contains('\u{feff}') && refused.contains("database.url"), "{refused}");
    std::fs::write(home.path().join("parameters.json"), "\u{feff}{\"a\": 1}").unwrap();
    let up = TaskerUp::start();
    let path = format!("@{}", home.path().join("parameters.json").display());
    let echo = up.run_command(["submit", "ECHO", &path, "--ttl", "30s", "--wait"]);
    assert_eq!((echo.code, echo.stdout.as_str()), (0, r#"{"a": 1}"#), "{}", echo.stderr);
}

#[test]
fn config_show_shows_every_value_with_its_origin_but_no_secret() {
    let home = home();
    std::fs::write(home.path().join("tasker.toml"), "[worker]\nslots = 3\n").unwrap();
    let mut show = tasker_command(home.path(), ["config", "show", "-o", "json", "--set", "log.level=debug"]);
    let output = run(show
        .env("TASKER__WORKER__PASSWORD", "hush")
        .env("TASKER__DATABASE__URL", "postgres://a:hush@b/c"));
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(!output.stdout.contains("hush") && !output.stderr.contains("hush"), "{}", output.stdout);
    let all: Vec<serde_json::Value> = serde_json::from_str(&output.stdout).unwrap();
    let entry = |name: &str| all.iter().find(|entry| entry["setting"] == name).expect(name);
    assert_eq!(
        (&entry("worker.slots")["value"], &entry("worker.slots")["origin"]),
        (&"3".into(), &"tasker.toml, line 2".into())
    );
    assert_eq!(entry("worker.password")["origin"], "TASKER__WORKER__PASSWORD");
    assert_eq!(entry("log.level")["origin"], "--set log.level");
    assert_eq!(entry("log.keep")["origin"], "default");
    assert_eq!(entry("log.keep")["variable"], "TASKER__LOG__KEEP");
}

#[tokio::test]
async fn config_check_connects_to_what_the_settings_name() {
    let mut cluster = Cluster::start(1, 1).await;
    let urls = cluster.urls();
    let settings = [
        format!("database.url={}", cluster.database().url),
        format!("kafka.bootstrap_servers={}", kafka_address()),
        format!("kafka.topic_prefix={}", unique_prefix()),
        format!("backend.identity_url={}", urls.identity),
        format!("worker.identity_url={}", urls.identity),
        format!("worker.backend_url={}", urls.backend),
        format!("worker.client_id={WORKER_CLIENT}"),
        format!("worker.client_secret={WORKER_SECRET}"),
    ];
    let check = |more: &[&str]| {
        let home = home();
        let settings = settings.iter().map(String::as_str).chain(more.iter().copied());
        let arguments = ["config", "check"].into_iter().chain(set_arguments(settings));
        run(&mut tasker_command(home.path(), arguments))
    };
    let valid = check(&[]);
    assert_eq!(valid.code, 0, "{}", valid.stdout);
    for expected in [
        "ok   settings",
        "ok   database.url            the database of tasks answers",
        "ok   kafka                   the brokers answer; ",
        "ok   backend.identity_url    Identity answers at",
        "ok   worker                  it signs in",
    ] {
        assert!(valid.stdout.contains(expected), "{expected}: {}", valid.stdout);
    }
    let both = check(&[&format!("worker.backend_url={:?}", [&urls.backend, &format!("{}/", urls.backend)])]);
    assert!(both.stderr.contains("a list has each address once"), "{}{}", both.stdout, both.stderr);
    let gone = check(&[&format!(r#"worker.backend_url=["{}", "http://127.0.0.1:1"]"#, urls.backend)]);
    assert!(
        gone.stdout.contains("BAD  worker                  no answer from http://127.0.0.1:1/"),
        "{}",
        gone.stdout
    );
    for (setting, expected) in [
        ("database.url=postgres://nobody@127.0.0.1:1/none", "BAD  database.url"),
        ("kafka.bootstrap_servers=127.0.0.1:1", "BAD  kafka"),
        ("backend.identity_url=http://127.0.0.1:1", "is Identity running there?"),
        ("worker.client_secret=wrong", "BAD  worker"),
        ("worker.simulate_work_ms=[2, 1]", "the first number is the shortest"),
    ] {
        let invalid = check(&[setting]);
        assert_eq!(invalid.code, 2, "{setting}: {}", invalid.stdout);
        assert!(invalid.stdout.contains(expected), "{setting}: {}", invalid.stdout);
    }
    cluster.stop();
}

#[test]
fn an_empty_variable_is_not_set() {
    let home = TempDir::new().unwrap();
    let mut show = tasker_command(home.path(), ["config", "show"]);
    for name in ["BACKEND__TLS_CERT", "BACKEND__LISTEN", "WORKER__PASSWORD_FILE"] {
        show.env(format!("TASKER__{name}"), "");
    }
    let shown = run(&mut show);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(!shown.stdout.contains("TASKER__"), "{}", shown.stdout);
}
