//! A process for each service: started in any order, with a database that is away at first, and stopped by SIGTERM.

use testkit::TestDatabase;

use crate::kit::cluster::free_address;
use crate::kit::command::{run, tasker_command};
use crate::kit::process::Process;

#[tokio::test]
async fn a_worker_a_backend_and_an_identity_find_each_other_in_any_order() {
    let (home, database) = (tempfile::tempdir().unwrap(), TestDatabase::postgres().await);
    std::fs::write(home.path().join("secret"), "a secret of the test\n").unwrap();
    let (backend_address, identity_address) = (free_address(), free_address());
    let database_url = format!("database.url={}", database.url);
    let mut worker = Process::start_service(
        home.path(),
        "worker",
        &[
            "worker.client_id=rig",
            "worker.client_secret=a secret of the test",
            &format!("worker.backend_url=http://{backend_address}"),
            &format!("worker.identity_url=http://{identity_address}"),
        ],
    );
    let mut backend = Process::start_service(
        home.path(),
        "backend",
        &[
            &database_url,
            &format!("backend.listen={backend_address}"),
            &format!("backend.identity_url=http://{identity_address}"),
        ],
    );
    let mut identity = Process::start_service(
        home.path(),
        "identity",
        &[
            &*database_url,
            &format!("identity.listen={identity_address}"),
            r#"identity.clients=[{ id = "rig", secret_file = "secret", roles = ["Worker"] }]"#,
        ],
    );

    assert!(identity.wait_for_line("Setup link:").starts_with("http://127.0.0.1:"));
    backend.wait_for_line("the Backend listens on");
    worker.wait_for_line("takes tasks");
    for process in [&mut worker, &mut backend, &mut identity] {
        process.stop();
    }
}

#[test]
fn a_service_waits_for_an_unreachable_database_and_can_be_stopped_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    let database_url = format!("database.url=postgres://tasker@{}/tasker", free_address());
    let settings = [&*database_url, "backend.listen=127.0.0.1:0"];
    let mut backend = Process::start_service(home.path(), "backend", &settings);
    let cause = backend.wait_for_line("waiting for the database of tasks");
    assert!(cause.contains("the server does not listen there"), "{cause}");
    backend.stop();
    assert_eq!(backend.count_lines("waiting for the database"), 1, "an outage is logged once");
}

#[tokio::test]
async fn both_databases_can_be_migrated_again() {
    let home = tempfile::tempdir().unwrap();
    for database in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        let setting = format!("database.url={}", database.url);
        for _ in 0..2 {
            let output = run(&mut tasker_command(home.path(), ["migrate", "--set", &setting]));
            assert_eq!(output.code, 0, "{}", output.stderr);
            let (tasks, accounts) = (store::TASKS.version(), identity::ACCOUNTS.version());
            let tasks = format!("the tables of tasks are at version {tasks}");
            assert_eq!(output.stdout, format!("{tasks}\nthe tables of identity are at version {accounts}"));
        }
    }
}
