//! Backup and restore by the commands of `docs/running.md`: tasks, accounts, sessions and tokens are there again.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::Command;

use domain::{Reason, Status, TaskId};
use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use testkit::TestDatabase;

use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::cluster::{Cluster, free_address};
use crate::kit::command::{run, tasker_command};
use crate::kit::process::Process;
use crate::kit::service_urls::ServiceUrls;
use crate::kit::wait_until::wait_until;

const PAGE: &str = include_str!("../../../../docs/running.md");

/// Runs the commands of the page that begin with `prefix`, in `home` and with the URL of the database in `DATABASE_URL`.
fn run_commands_of_page(prefix: &str, home: &Path, database: &str) {
    let commands: Vec<&str> = PAGE.lines().filter(|line| line.starts_with(prefix)).collect();
    assert!(!commands.is_empty(), "the page has no command that begins with {prefix}");
    for command in commands {
        let mut shell = Command::new("sh");
        let output = run(shell.args(["-c", command]).current_dir(home).env("DATABASE_URL", database));
        assert_eq!(output.code, 0, "$ {command}\n{}", output.stderr);
    }
}

/// Installs a program that the page uses and a fresh Debian lacks, if it is missing.
fn ensure_installed(program: &str) {
    let need = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/need");
    let output = run(Command::new(need).args([program, program]));
    assert_eq!(output.code, 0, "{}", output.stderr);
}

/// What a user has before the backup and must have after the restore.
struct UserState {
    urls: ServiceUrls,
    client: ApiClient,
    /// The browser's session cookie.
    cookie: String,
    /// A task that has finished.
    finished: TaskId,
}

impl UserState {
    /// Registers an account, signs in as a program and in a browser, and submits a task that finishes.
    async fn create(urls: ServiceUrls) -> Self {
        let client = ApiClient::register(&urls, "ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD), ("ReturnUrl", "/")];
        let login = urls.http_client().post(format!("{}/Auth/Login", urls.identity)).form(&form);
        let login = login.send().await.unwrap();
        let cookie = login.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let task = client.submit_and_wait("ECHO", json!({"bytes": "🦆"}), 60_000).await;
        assert_eq!(task.status, Status::Finished, "{task:?}");
        Self { urls, client, cookie, finished: task.id }
    }

    /// Asserts that everything is there, the token included, and that a new task finishes.
    async fn assert_restored(&self) {
        let task = self.client.read_task(self.finished).await;
        assert_eq!(task.status, Status::Finished, "the token from before the backup is valid");
        let result: Value = self.client.read_result(self.finished).await.json().await.unwrap();
        assert_eq!(result["result"], json!({"bytes": "🦆"}));
        self.assert_restored_but_the_token().await;
    }

    /// Asserts that the account, its tasks and the browser's session are there, and that a new task finishes.
    async fn assert_restored_but_the_token(&self) {
        let client = ApiClient::sign_in(&self.urls, "ann").await;
        assert_eq!(client.read_task(self.finished).await.status, Status::Finished);
        let page = self.urls.http_client().get(format!("{}/", self.urls.identity));
        let page = page.header(COOKIE, &self.cookie).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Hello, ann"), "{page}");
        let task = client.submit_and_wait("ECHO", Value::Null, 60_000).await;
        assert_eq!(task.status, Status::Finished, "{task:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_and_the_key_file_bring_everything_back_on_postgresql() {
    let mut cluster = Cluster::start(1, 8).await;
    let user = UserState::create(cluster.urls()).await;
    let running = user.client.submit("SLEEP", json!({"ms": 3_600_000}), 600_000).await;
    let is_running = async || user.client.read_task(running).await.status == Status::Running;
    wait_until("the task runs", is_running).await;
    run_commands_of_page("pg_dump ", cluster.home(), &cluster.database().url);
    let submitted_later = user.client.submit("ECHO", Value::Null, 60_000).await;
    assert_eq!(user.client.cancel(running).await.status(), StatusCode::OK);
    cluster.stop();

    let empty = TestDatabase::postgres().await;
    run_commands_of_page("pg_restore ", cluster.home(), &empty.url);
    cluster.restart_on(empty);
    user.assert_restored().await;
    assert_eq!(user.client.wait_until_ended(running).await.reason, Some(Reason::WorkerLost));
    let response = user.client.get(&format!("/api/Task/{submitted_later}")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    cluster.stop();

    std::fs::remove_file(cluster.home().join("identity.key")).unwrap();
    run_commands_of_page("psql ", cluster.home(), &cluster.database().url);
    cluster.restart();
    let response = user.client.get("/api/Task").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "the key that signed the token is gone");
    user.assert_restored_but_the_token().await;
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_the_files_bring_everything_back_on_sqlite() {
    ensure_installed("sqlite3");
    let home = tempfile::tempdir().unwrap();
    let (backend, identity) = (free_address(), free_address());
    let start = |data_dir: &str| {
        let listen = ["--backend-addr", &backend, "--identity-addr", &identity];
        let arguments = ["up", "--data-dir", data_dir].into_iter().chain(listen);
        let mut up = Process::start(&mut tasker_command(home.path(), arguments));
        up.wait_for_line("Ready.");
        up
    };
    let urls = ServiceUrls {
        backend: format!("http://{backend}"),
        identity: format!("http://{identity}"),
        ca: None,
    };
    let mut up = start(".tasker");
    let user = UserState::create(urls).await;
    for prefix in ["mkdir --mode=700 backup", "sqlite3 ", "cp .tasker/identity.key "] {
        run_commands_of_page(prefix, home.path(), "");
    }
    up.stop();
    run_commands_of_page("cp --archive .tasker ", home.path(), "");
    std::fs::remove_dir_all(home.path().join(".tasker")).unwrap();

    for copy in ["backup", "copy"] {
        let mut up = start(copy);
        user.assert_restored().await;
        up.stop();
    }
}
