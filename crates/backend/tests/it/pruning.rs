//! Pruning and refreshing run beside the sweep: old ended tasks are deleted, and a failure there does not stop the sweep.

use std::time::Duration;

use serde_json::json;

use crate::kit::test_backend::on_each_database_with;
use crate::kit::until::until;

#[tokio::test]
async fn tasks_of_a_silent_worker_are_cancelled_though_the_catalogue_cannot_be_read() {
    let adjust = |settings: &mut backend::Settings| {
        settings.worker_lost = Duration::from_millis(300);
        settings.check_period = Duration::from_millis(50);
    };
    on_each_database_with(adjust, async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        service.execute_sql("alter table operation rename to operation_renamed".to_owned()).await;
        worker.heartbeat("w", &[]).await.expect_status(200);
        worker.claim_one(&id, "w").await;
        assert_eq!(user.wait_for_end(&id).await["reason"], "WORKER_LOST");
        service.execute_sql("alter table operation_renamed rename to operation".to_owned()).await;
    })
    .await;
}

#[tokio::test]
async fn tasks_that_ended_long_ago_are_deleted_and_waiting_ones_are_not() {
    let adjust = |settings: &mut backend::Settings| settings.keep_ended = Duration::ZERO;
    on_each_database_with(adjust, async |service| {
        let user = service.user();
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(user.submit_echo().await);
            user.cancel(&ids[ids.len() - 1]).await.expect_status(200);
        }
        let waiting = user.submit_echo().await;
        let worker = service.worker();
        // A Backend prunes when it starts, and then every minute.
        let pruning = service.start_another(adjust).await;
        for id in &ids {
            let is_gone = async || user.get(&format!("/api/Task/{id}")).await.status == 404;
            until("the cancelled task is deleted", is_gone).await;
        }
        assert_eq!(user.task(&waiting).await["status"], json!("CREATED"));
        worker.claim_one(&waiting, "w").await;
        pruning.shut_down().await;
    })
    .await;
}
