//! What a database must be before a service starts on it: a start that cannot succeed ends with a sentence that names the setting and
//! says what to do, and `tasker doctor` says the same.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::Command;

use testkit::{TestDatabase, postgres_url, unique_prefix};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::kit::command::{CommandOutput, run, tasker_command};
use crate::kit::process::Process;
use crate::kit::wait_until::MAX_WAIT;

/// Runs a command with `database.url` and a free port for a service.
fn run_on(home: &Path, command: &[&str], url: &str) -> CommandOutput {
    let settings = ["--set".to_owned(), format!("database.url={url}")];
    let listen = ["--set", "backend.listen=127.0.0.1:0", "--set", "identity.listen=127.0.0.1:0"];
    let settings = settings.iter().map(String::as_str).chain(listen);
    run(&mut tasker_command(home, command.iter().copied().chain(settings).collect::<Vec<_>>()))
}

/// Expects that services, `migrate` and `doctor` refuse the database with a sentence that contains `sentence`.
fn assert_refused(url: &str, sentence: &str) {
    let home = tempfile::tempdir().unwrap();
    for command in ["backend", "identity", "migrate"] {
        let refused = run_on(home.path(), &[command], url);
        assert_eq!(refused.code, 2, "{command}: {}", refused.stderr);
        let expected = format!("error: database.url: {sentence}");
        assert!(refused.stderr.contains(&expected), "{command}, {expected}: {}", refused.stderr);
    }
    for service in ["backend", "identity"] {
        let report = run_on(home.path(), &["doctor", service], url);
        assert_eq!(report.code, 1, "{}", report.stdout);
        let mut bad = report.stdout.lines().filter(|line| line.starts_with("BAD   database.url "));
        assert!(bad.any(|line| line.contains(sentence)), "{service}, {sentence}: {}", report.stdout);
    }
}

#[tokio::test]
async fn a_database_whose_encoding_lacks_characters_is_refused() {
    let database =
        TestDatabase::postgres_with("encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'").await;
    let (_, name) = database.url.rsplit_once('/').unwrap();
    assert_refused(&database.url, &format!("the database {name} has the encoding LATIN1, which cannot"));
}

#[tokio::test]
async fn a_search_path_without_a_schema_is_refused() {
    let database = TestDatabase::postgres().await;
    let (_, name) = database.url.rsplit_once('/').unwrap();
    database.execute_on_postgres(&format!("alter database {name} set search_path = nowhere")).await;
    assert_refused(&database.url, "search_path = nowhere names no schema that exists: ");
}

#[tokio::test]
async fn an_account_that_may_not_create_tables_is_refused_until_they_exist() {
    let (database, home) = (TestDatabase::postgres().await, tempfile::tempdir().unwrap());
    let account = unique_prefix().replace('-', "_");
    database.execute_on_postgres(&format!("create role {account} login")).await;
    let url = database.url.replace("//tasker@", &format!("//{account}@"));
    let expected =
        format!("the account {account} may not create tables in the schema public: `grant create on");
    assert_refused(&url, &expected);
    assert_eq!(run_on(home.path(), &["migrate"], &database.url).code, 0);
    let grants = "grant select, insert, update, delete on all tables in schema public to";
    database.execute_on_postgres(&format!("{grants} {account}")).await;
    let migrated = run_on(home.path(), &["migrate"], &url);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    database.execute_on_postgres(&format!("drop owned by {account}; drop role {account}")).await;
}

#[tokio::test]
async fn a_table_of_another_program_is_named_and_left_alone() {
    let tasks = TestDatabase::postgres().await;
    tasks.execute_on_postgres("create table task (n integer); create table account (n integer)").await;
    let home = tempfile::tempdir().unwrap();
    for (command, table) in [("backend", "task"), ("identity", "account")] {
        let refused = run_on(home.path(), &[command], &tasks.url);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        let expected = format!("error: database.url: there is a table {table} that is not Tasker's: ");
        assert!(refused.stderr.contains(&expected), "{}", refused.stderr);
        let report = run_on(home.path(), &["doctor", command], &tasks.url);
        assert!(
            report.stdout.contains(&format!("BAD   database.url            there is a table {table} that"))
        );
    }
    let versions = TestDatabase::postgres().await;
    versions.execute_on_postgres("create table schema_version (version integer)").await;
    assert_refused(&versions.url, "there is a table schema_version that is not Tasker's: ");
}

#[test]
fn a_sqlite_file_of_another_program_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tasks.db");
    let mut create = Command::new("sqlite3");
    assert_eq!(run(create.arg(&file).arg("create table task (n integer)")).code, 0);
    let url = format!("sqlite:{}", file.display());
    let refused = run_on(home.path(), &["backend"], &url);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("there is a table task that is not Tasker's"), "{}", refused.stderr);
    let report = run_on(home.path(), &["doctor", "backend"], &url);
    assert!(
        report.stdout.contains("BAD   database.url            there is a table task"),
        "{}",
        report.stdout
    );
    std::fs::write(&file, "a letter, and not a database at all").unwrap();
    let refused = run_on(home.path(), &["backend"], &url);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("file is not a database"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_mistake_in_the_url_ends_the_start_with_its_setting() {
    let url = |rest: &str| format!("postgres://{rest}");
    let server = postgres_url();
    let (base, _) = server.rsplit_once('/').unwrap();
    for (url, sentence) in [
        (url("ann:pass#word@127.0.0.1/tasks"), "write `#` in a user name or a password as %23"),
        (url("ann:12/34@127.0.0.1/tasks"), "write `/` in a user name or a password as %2F"),
        (url("ann:12?34@127.0.0.1/tasks"), "write `?` in a user name or a password as %3F"),
        (url("ann@127.0.0.1:99999/tasks"), "it is not a valid URL: invalid port number"),
        (
            url("ann@127.0.0.1/tasks?target_session_attrs=any"),
            "the URL has the parameter `target_session_attrs`",
        ),
        (url("ann@one,other/tasks"), "the URL names several hosts"),
        (
            url("ann@127.0.0.1/tasks?sslrootcert=absent.pem"),
            "sslrootcert = absent.pem: the file cannot be read",
        ),
    ] {
        assert_refused(&url, sentence);
    }
    let home = tempfile::tempdir().unwrap();
    let absent = format!("{base}/no_such_database");
    let refused = run_on(home.path(), &["backend"], &absent);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    let expected = "error: database.url: the database failed: database \"no_such_database\" does not exist";
    assert!(refused.stderr.contains(expected), "{}", refused.stderr);
}

#[tokio::test]
async fn a_server_is_reached_by_its_ipv6_address() {
    let (home, server) = (tempfile::tempdir().unwrap(), TcpListener::bind("[::1]:0").await.unwrap());
    let url = format!("database.url=postgres://ann@{}/tasks", server.local_addr().unwrap());
    let _backend = Process::start_service(home.path(), "backend", &[&url, "backend.listen=127.0.0.1:0"]);
    timeout(MAX_WAIT, server.accept()).await.expect("the Backend connects").unwrap();
}
