//! One role a process: started in any order, stopped politely.

use testkit::Scratch;

use crate::kit::cluster::{free_port, role};
use crate::kit::person::{Addresses, PASSWORD, Person};
use crate::kit::process::{Process, run, run_with, tasker};

#[tokio::test]
async fn a_worker_a_backend_and_an_identity_find_each_other_in_any_order() {
    let (home, database) = (tempfile::tempdir().unwrap(), Scratch::postgres().await);
    std::fs::write(home.path().join("secret"), "a secret of the test\n").unwrap();
    let (backend, identity) = (free_port(), free_port());
    let database = format!("database.url={}", database.url);
    let issuer = format!("identity_url=http://{identity}");

    let backend_url = format!("worker.backend_url=http://{backend}");
    let (worker_issuer, secret) = (format!("worker.{issuer}"), "worker.client_secret=a secret of the test");
    let mut worker =
        role(home.path(), "worker", &["worker.client_id=rig", secret, &backend_url, &worker_issuer]);
    let (listen, backend_issuer) = (format!("backend.listen={backend}"), format!("backend.{issuer}"));
    let mut backend = role(home.path(), "backend", &[&database, &listen, &backend_issuer]);
    let listen = format!("identity.listen={identity}");
    let clients = r#"identity.clients=[{ id = "rig", secret_file = "secret", roles = ["Worker"] }]"#;
    let mut identity = role(home.path(), "identity", &[&database, &listen, clients]);

    assert!(identity.after("Setup link:").starts_with("http://127.0.0.1:"));
    backend.after("the Backend listens on");
    worker.after("takes tasks");
    for process in [&mut worker, &mut backend, &mut identity] {
        process.terminate();
        assert!(process.ended().success(), "{:?}", process.seen());
    }
}

/// The settings in the book.
fn settings_of_the_book() -> String {
    let page = include_str!("../../../../docs/running.md");
    let lines = page.lines().skip_while(|line| line.trim() != "```toml").skip(1);
    lines.take_while(|line| line.trim() != "```").map(str::trim).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn services_apart_are_set_up_as_the_book_says() {
    let (home, database) = (tempfile::tempdir().unwrap(), Scratch::postgres().await);
    std::fs::create_dir(home.path().join("secrets")).unwrap();
    std::fs::write(home.path().join("secrets/database"), database.url.as_str()).unwrap();
    std::fs::write(home.path().join("secrets/worker"), "a secret of the test\n").unwrap();
    std::fs::write(home.path().join("tasker.toml"), settings_of_the_book()).unwrap();
    let (backend, identity) = (free_port(), free_port());
    let at =
        Addresses { backend: format!("http://{backend}"), identity: format!("http://{identity}"), ca: None };
    let start = |role: &str, secret: &str, file: &str, settings: &[&str]| {
        let sets = settings.iter().flat_map(|setting| ["--set", *setting]);
        let mut command = tasker(home.path(), std::iter::once(role).chain(sets));
        Process::start(command.env(secret, file))
    };
    let (url, listen) = ("TASKER__DATABASE__URL_FILE", format!("identity.listen={identity}"));
    let mut identity = start("identity", url, "secrets/database", &[&listen]);
    let (listen, issuer) = (format!("backend.listen={backend}"), format!("identity_url={}", at.identity));
    let _backend = start("backend", url, "secrets/database", &[&listen, &format!("backend.{issuer}")]);
    let backend_url = format!("worker.backend_url={}", at.backend);
    let secret = "TASKER__WORKER__CLIENT_SECRET_FILE";
    let mut worker = start("worker", secret, "secrets/worker", &[&backend_url, &format!("worker.{issuer}")]);
    worker.after("takes tasks");

    Person::administrator(&at, &identity.after("Setup link:"), "ann").await;
    let state = home.path().join("state");
    let ask = |arguments: &[&str], input: &str| {
        run_with(tasker(home.path(), arguments.iter().copied()).env("XDG_STATE_HOME", &state), input)
    };
    let nowhere = ask(&["workers"], "");
    assert!(
        nowhere.err.contains("`tasker login NAME --backend-url URL --identity-url URL`"),
        "{}",
        nowhere.err
    );
    let addresses = ["--backend-url", &at.backend, "--identity-url", &at.identity];
    let login = ask(&[&["login", "ann", "--password-stdin"], &addresses[..]].concat(), PASSWORD);
    assert_eq!(login.code, 0, "{}", login.err);
    assert!(ask(&["workers"], "").out.contains("GENERATE_LOGIN"));
}

#[test]
fn a_database_that_is_away_is_waited_for_and_a_stop_ends_that() {
    let home = tempfile::tempdir().unwrap();
    let away = format!("database.url=postgres://tasker@{}/tasker", free_port());
    let mut backend = role(home.path(), "backend", &[&away, "backend.listen=127.0.0.1:0"]);
    let why = backend.after("waiting for the database of tasks");
    assert!(why.contains("the server does not listen there"), "{why}");
    backend.terminate();
    assert!(backend.ended().success());
    let lines = backend.seen().iter().filter(|line| line.contains("waiting for the database"));
    assert_eq!(lines.count(), 1);
}

#[tokio::test]
async fn both_databases_are_migrated_once_and_again() {
    let home = tempfile::tempdir().unwrap();
    for database in [Scratch::sqlite(), Scratch::postgres().await] {
        let setting = format!("database.url={}", database.url);
        for _ in 0..2 {
            let said = run(&mut tasker(home.path(), ["migrate", "--set", &setting]));
            assert_eq!(said.code, 0, "{}", said.err);
            let (tasks, accounts) = (store::TASKS.version(), identity::ACCOUNTS.version());
            let tasks = format!("the tables of tasks are at version {tasks}");
            assert_eq!(said.out, format!("{tasks}\nthe tables of identity are at version {accounts}"));
        }
    }
}
