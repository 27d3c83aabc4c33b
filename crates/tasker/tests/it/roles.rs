//! One role a process: started in any order, stopped politely.

use testkit::Scratch;

use crate::cluster::{free_port, role};
use crate::process::{run, tasker};

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

#[test]
fn a_database_that_is_away_is_waited_for_and_a_stop_ends_that() {
    let home = tempfile::tempdir().unwrap();
    let away = format!("database.url=postgres://tasker@{}/tasker", free_port());
    let mut backend = role(home.path(), "backend", &[&away, "backend.listen=127.0.0.1:0"]);
    backend.after("waiting for the database of tasks");
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
            let tasks = store::TASKS.steps.len();
            assert_eq!(
                said.out,
                format!(
                    "the tables of tasks are at version {tasks}\nthe tables of identity are at version 1"
                )
            );
        }
    }
}
