//! A process for each service: started in any order, with a database that is away at first, and stopped by SIGTERM.

use sqlx::{Connection, Executor, PgConnection};
use testkit::TestDatabase;

use crate::kit::cluster::free_address;
use crate::kit::command::{run, tasker_command};
use crate::kit::process::Process;
use crate::kit::wait_until::wait_until;

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
            let (tasks, accounts) =
                (store::TASKS_SCHEMA.latest_version(), identity::IDENTITY_SCHEMA.latest_version());
            let tasks = format!("the tables of tasks are at version {tasks}");
            assert_eq!(output.stdout, format!("{tasks}\nthe tables of identity are at version {accounts}"));
        }
    }
}

#[tokio::test]
async fn services_that_start_together_migrate_once_whatever_the_default_isolation_level() {
    let (home, database) = (tempfile::tempdir().unwrap(), TestDatabase::postgres().await);
    let (_, name) = database.url.rsplit_once('/').unwrap();
    let mut lock = PgConnection::connect(&database.url).await.unwrap();
    database
        .execute_on_postgres(&format!(
            "alter database {name} set default_transaction_isolation = 'repeatable read'"
        ))
        .await;
    // Each process waits for the lock of the migration before one of them migrates.
    lock.execute("select pg_advisory_lock(hashtext('tasker: migrate'))").await.unwrap();
    let setting = format!("database.url={}", database.url);
    let start = |service: &str| {
        let listen = format!("{service}.listen=127.0.0.1:0");
        Process::start_service(home.path(), service, &[&setting, &listen])
    };
    let mut backends = [start("backend"), start("backend"), start("backend")];
    let mut identities = [start("identity"), start("identity")];
    wait_until("every process waits for the lock", async || {
        let query = "select count(*) from pg_locks where locktype = 'advisory' and not granted \
            and database = (select oid from pg_database where datname = current_database())";
        let mut connection = PgConnection::connect(&database.url).await.unwrap();
        let (waiting,): (i64,) = sqlx::query_as(query).fetch_one(&mut connection).await.unwrap();
        waiting == 5
    })
    .await;
    lock.execute("select pg_advisory_unlock_all()").await.unwrap();
    for backend in &mut backends {
        backend.wait_for_line("the Backend listens on");
    }
    for identity in &mut identities {
        identity.wait_for_line("Identity listens on");
    }
}
