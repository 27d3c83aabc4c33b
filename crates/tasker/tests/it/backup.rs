//! Backup and restore by the very commands of the book: tasks, accounts, sign-ins and tokens come back.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::Command;

use domain::{Reason, Status, TaskId};
use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use testkit::Scratch;

use crate::kit::cluster::{Cluster, free_port};
use crate::kit::person::{Addresses, PASSWORD, Person};
use crate::kit::process::{Process, run, tasker};
use crate::kit::until::until;

const PAGE: &str = include_str!("../../../../docs/running.md");

/// Runs the book's commands that begin like this, in `home` and with the address of the database where they want it.
fn by_the_book(begin: &str, home: &Path, database: &str) {
    let commands: Vec<&str> = PAGE.lines().filter(|line| line.starts_with(begin)).collect();
    assert!(!commands.is_empty(), "the book says nothing of {begin}");
    for command in commands {
        let mut shell = Command::new("sh");
        let said = run(shell.args(["-c", command]).current_dir(home).env("DATABASE_URL", database));
        assert_eq!(said.code, 0, "$ {command}\n{}", said.err);
    }
}

/// Where Debian lacks a program that the book uses, this installs it.
fn have(program: &str) {
    let need = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/need");
    let said = run(Command::new(need).args([program, program]));
    assert_eq!(said.code, 0, "{}", said.err);
}

/// What somebody has before the backup and wants back.
struct Belongings {
    at: Addresses,
    ann: Person,
    cookie: String,
    done: TaskId,
}

impl Belongings {
    /// Makes an account, signs in as a program and in a browser, and has a task done.
    async fn gather(at: Addresses) -> Self {
        let ann = Person::register(&at, "ann").await;
        let form = [("Username", "ann"), ("Password", PASSWORD), ("ReturnUrl", "/")];
        let page = at.http().post(format!("{}/Auth/Login", at.identity)).form(&form).send().await.unwrap();
        let cookie = page.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let done = ann.submitted_and_ended("ECHO", json!({"bytes": "🦆"}), 60_000).await;
        assert_eq!(done.status, Status::Finished, "{done:?}");
        Self { at, ann, cookie, done: done.id }
    }

    /// Looks for it all, and has one more task done.
    async fn are_all_there(&self) {
        assert_eq!(self.ann.task(self.done).await.status, Status::Finished, "the token counts");
        let result: Value = self.ann.result(self.done).await.json().await.unwrap();
        assert_eq!(result["result"], json!({"bytes": "🦆"}));
        self.can_sign_in().await;
    }

    /// The account and its tasks are there, and the browser is signed in.
    async fn can_sign_in(&self) {
        let ann = Person::sign_in(&self.at, "ann").await;
        assert_eq!(ann.task(self.done).await.status, Status::Finished);
        let page = self.at.http().get(format!("{}/", self.at.identity)).header(COOKIE, &self.cookie);
        let page = page.send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Hello, ann"), "{page}");
        let more = ann.submitted_and_ended("ECHO", Value::Null, 60_000).await;
        assert_eq!(more.status, Status::Finished, "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_and_the_key_file_bring_everything_back_on_postgresql() {
    let mut cluster = Cluster::start(1, 8).await;
    let kept = Belongings::gather(cluster.addresses()).await;
    let running = kept.ann.submit("SLEEP", json!({"ms": 3_600_000}), 600_000).await;
    until("it runs", async || kept.ann.task(running).await.status == Status::Running).await;
    by_the_book("pg_dump ", cluster.home(), &cluster.database().url);
    let later = kept.ann.submit("ECHO", Value::Null, 60_000).await;
    assert_eq!(kept.ann.cancel(running).await.status(), StatusCode::OK);
    cluster.stop();

    let empty = Scratch::postgres().await;
    by_the_book("pg_restore ", cluster.home(), &empty.url);
    cluster.start_on(empty);
    kept.are_all_there().await;
    assert_eq!(kept.ann.ended(running).await.reason, Some(Reason::WorkerLost));
    assert_eq!(kept.ann.get(&format!("/api/Task/{later}")).await.status(), StatusCode::NOT_FOUND);
    cluster.stop();

    std::fs::remove_file(cluster.home().join("identity.key")).unwrap();
    by_the_book("psql ", cluster.home(), &cluster.database().url);
    cluster.start_again();
    assert_eq!(kept.ann.get("/api/Task").await.status(), StatusCode::UNAUTHORIZED, "its key is gone");
    kept.can_sign_in().await;
    cluster.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_the_files_bring_everything_back_on_sqlite() {
    have("sqlite3");
    let (home, backend, identity) = (tempfile::tempdir().unwrap(), free_port(), free_port());
    let up = |data: &str| {
        let listen = ["--backend-addr", &backend, "--identity-addr", &identity];
        let mut up =
            Process::start(&mut tasker(home.path(), ["up", "--data-dir", data].into_iter().chain(listen)));
        up.after("Ready.");
        up
    };
    let at =
        Addresses { backend: format!("http://{backend}"), identity: format!("http://{identity}"), ca: None };
    let mut running = up(".tasker");
    let kept = Belongings::gather(at).await;
    for command in ["mkdir --mode=700 backup", "sqlite3 ", "cp .tasker/identity.key "] {
        by_the_book(command, home.path(), "");
    }
    running.terminate();
    assert!(running.ended().success());
    by_the_book("cp --archive .tasker ", home.path(), "");
    std::fs::remove_dir_all(home.path().join(".tasker")).unwrap();

    for copy in ["backup", "copy"] {
        let mut restored = up(copy);
        kept.are_all_there().await;
        restored.terminate();
        assert!(restored.ended().success());
    }
}
