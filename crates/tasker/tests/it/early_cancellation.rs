//! Tasks that are cancelled while their programs are being started (G9, G12).

use domain::Status;
use serde_json::json;
use tempfile::TempDir;

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::wait_until;

const SETTINGS: &str = "
[[worker.operations]]
type = \"SLEEPS\"
run = [\"sleep\", \"7200\"]
grace_ms = 0
";

/// A supervisor that was told to stop before it had read its program would forget it, and kill the program hours later.
#[tokio::test]
async fn a_program_that_is_cancelled_while_it_starts_is_stopped() {
    let home = TempDir::new().expect("a temporary directory can be created");
    std::fs::write(home.path().join("tasker.toml"), SETTINGS).expect("the settings can be written");
    let up = TaskerUp::start_in(home, &[]);
    let client = ApiClient::register(&up.urls(), "ann").await;
    for _ in 0..20 {
        let id = client.submit("SLEEPS", json!({}), 7_200_000).await;
        wait_until("the task runs", async || client.read_task(id).await.status == Status::Running).await;
        client.cancel(id).await;
        let has_stopped = async || client.read_task(id).await.stopped_date.is_some();
        wait_until("the work of the cancelled task has stopped", has_stopped).await;
    }
}
