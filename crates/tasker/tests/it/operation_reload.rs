//! A worker reads its declarations again on SIGHUP.

use std::fs;

use domain::TypeName;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::wait_until;

/// A time to live that no test waits for, in milliseconds.
const HOURS: u64 = 7_200_000;

/// A program that prints `answer`.
fn declaration(name: &str, answer: u32) -> String {
    format!("type = \"{name}\"\nrun = [\"echo\", \"{answer}\"]\n")
}

/// The result of a task of the type `name`.
async fn result(user: &ApiClient, name: &str) -> Value {
    let task = user.submit_and_wait(name, json!({}), HOURS).await;
    let body: Value = user.read_result(task.id).await.json().await.expect("the result is JSON");
    body["result"].clone()
}

async fn types(user: &ApiClient) -> Vec<TypeName> {
    let workers: Value = user.get("/api/Worker").await.json().await.expect("the list is JSON");
    serde_json::from_value(workers["workers"][0]["types"].clone()).expect("a list of types")
}

#[tokio::test]
async fn a_worker_takes_up_drops_and_changes_operations_without_a_restart() {
    let home = TempDir::new().expect("a temporary directory can be created");
    let operations = home.path().join("operations");
    fs::create_dir(&operations).expect("a directory");
    fs::write(operations.join("a.toml"), declaration("A", 1)).expect("a file");
    fs::write(operations.join("b.toml"), declaration("B", 2)).expect("a file");
    fs::write(
        home.path().join("tasker.toml"),
        "[worker]\noperations_directory = \"operations\"\n[log]\nlevel = \"info\"",
    )
    .expect("a file");
    let mut up = TaskerUp::start_in(home, &[]);
    let user = ApiClient::register_administrator(&up.urls(), &up.setup_link, "ann").await;
    assert_eq!((result(&user, "A").await, result(&user, "B").await), (json!(1), json!(2)));

    fs::write(operations.join("a.toml"), declaration("A", 10)).expect("a file");
    fs::remove_file(operations.join("b.toml")).expect("the file is ours");
    fs::write(operations.join("c.toml"), declaration("C", 3)).expect("a file");
    up.process().signal("HUP");
    up.process().wait_for_line("has read its operations again: added C; removed B;");
    assert_eq!((result(&user, "A").await, result(&user, "C").await), (json!(10), json!(3)));
    wait_until("the worker does not offer B any more", async || {
        !types(&user).await.iter().any(|name| name.as_str() == "B")
    })
    .await;

    fs::write(operations.join("c.toml"), "type = \"C\"\nrun = []").expect("a file");
    fs::write(operations.join("a.toml"), declaration("A", 100)).expect("a file");
    up.process().signal("HUP");
    let line = up.process().wait_for_line("the settings were not reloaded, the old ones stay");
    assert!(line.contains("c.toml: operation C: `run` must not be empty"), "{line}");
    assert_eq!((result(&user, "A").await, result(&user, "C").await), (json!(10), json!(3)));
}

/// The Backend has this version with another schema.
#[tokio::test]
async fn operations_that_the_backend_refuses_are_not_taken_up() {
    let home = TempDir::new().expect("a temporary directory can be created");
    let settings = |answer: u32, schema: &str| {
        format!(
            "[log]\nlevel = \"info\"\n[[worker.operations]]\n{}parameters = {schema}\n",
            declaration("A", answer)
        )
    };
    let file = home.path().join("tasker.toml");
    fs::write(&file, settings(1, "{ type = \"object\" }")).expect("a file");
    let mut up = TaskerUp::start_in(home, &[]);
    let user = ApiClient::register(&up.urls(), "ann").await;
    fs::write(&file, settings(2, "{ type = \"object\", maxProperties = 3 }")).expect("a file");
    up.process().signal("HUP");
    up.process().wait_for_line("stay as they were: the Backend refuses to register operation A, version 1");
    assert_eq!(result(&user, "A").await, json!(1));
}
