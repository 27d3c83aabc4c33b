//! Programs as operations: what their exit codes mean, whom they run as, and what they may open.

use std::fs;

use domain::{Reason, Status, Task};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;

/// A time to live that no test reaches, in milliseconds.
const TTL_MS: u64 = 600_000;

/// The ended task of an operation with the keys `declaration`, and its result.
async fn run(declaration: &str) -> (Task, Value) {
    let home = TempDir::new().expect("a temporary directory can be created");
    let settings = format!(
        "[[worker.operations]]\ntype = \"PROGRAM\"\nenvironment = {{ PATH = \"/usr/bin:/bin\" }}\n{declaration}"
    );
    fs::write(home.path().join("tasker.toml"), settings).expect("the settings can be written");
    let up = TaskerUp::start_in(home, &[]);
    let user = ApiClient::register(&up.urls(), "ann").await;
    let id = user.submit("PROGRAM", json!({}), TTL_MS).await;
    let task = user.wait_until_ended(id).await;
    let result = match task.status {
        Status::Finished => user.read_result(id).await.json().await.expect("the answer is JSON"),
        _ => Value::Null,
    };
    (task, result["result"].clone())
}

/// A program that fails with `code` in its first attempt.
fn fails_once(code: u8) -> String {
    format!(
        "run = [\"sh\", \"-c\", 'test $TASKER_ATTEMPT = 1 && exit {code}; echo $TASKER_ATTEMPT']\ndefaults = {{ max_attempts = 3, retry = {{ backoff_ms = 1 }} }}"
    )
}

#[tokio::test]
async fn a_task_whose_program_fails_for_now_is_tried_again() {
    let (task, result) = run(&fails_once(75)).await;
    assert_eq!((task.attempts, result), (2, json!(2)), "{task:?}");
}

#[tokio::test]
async fn a_task_whose_program_refuses_its_data_is_not_tried_again() {
    let (task, _) = run(&fails_once(65)).await;
    assert_eq!((task.attempts, task.reason), (1, Some(Reason::OperationFailed)), "{task:?}");
    assert_eq!(task.error.as_deref(), Some("the program failed with exit code 65"));
}

/// The worker runs as root here.
#[tokio::test]
async fn a_program_runs_as_the_user_of_its_declaration_with_no_further_group_and_can_write_to_its_directory()
{
    let (task, result) = run(
        "run = [\"sh\", \"-c\", 'touch file && echo \"[$(id -u), \\\"$(id -G)\\\", \\\"$(ls)\\\"]\"']\nuser = \"nobody\"",
    )
    .await;
    assert_eq!(result, json!([65534, "65534", "file"]), "{task:?}");
}

#[tokio::test]
async fn a_program_opens_no_more_files_than_its_limit() {
    let code = "import errno, json\\nopened = []\\ntry:\\n    while True: opened.append(open('/dev/null'))\\nexcept OSError as error: code = error.errno\\nprint(json.dumps([max(file.fileno() for file in opened), errno.errorcode[code]]))";
    let (task, result) =
        run(&format!("run = [\"python3\", \"-c\", \"{code}\"]\nlimits = {{ open_files = 16 }}")).await;
    // The descriptors 0 to 15 are sixteen.
    assert_eq!(result, json!([15, "EMFILE"]), "{task:?}");
}
