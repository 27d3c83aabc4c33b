//! What may wait is done beside the sweep: whatever fails there, overdue tasks and silent workers are found.

use std::time::Duration;

use serde_json::json;

use crate::kit::service::each_with;

#[tokio::test]
async fn a_silent_worker_is_lost_though_the_catalogue_cannot_be_read() {
    let adjust = |settings: &mut backend::Settings| {
        settings.worker_lost = Duration::from_millis(300);
        settings.check_period = Duration::from_millis(50);
    };
    each_with(adjust, async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let id = ann.created().await;
        service.sql("alter table operation rename to mislaid".to_owned()).await;
        rig.beat("w", &[]).await.is(200);
        rig.granted(&id, "w").await;
        assert_eq!(ann.ended(&id).await["reason"], "WORKER_LOST");
        service.sql("alter table mislaid rename to operation".to_owned()).await;
    })
    .await;
}

#[tokio::test]
async fn tasks_that_ended_long_ago_are_forgotten() {
    let adjust = |settings: &mut backend::Settings| settings.keep_ended = Duration::ZERO;
    each_with(adjust, async |service| {
        let ann = service.user();
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(ann.created().await);
            ann.cancel(&ids[ids.len() - 1]).await.is(200);
        }
        let waits = ann.created().await;
        let rig = service.worker();
        // Another Backend begins with it.
        let again = service.again(adjust).await;
        for id in &ids {
            while ann.get(&format!("/api/Task/{id}")).await.status != 404 {}
        }
        assert_eq!(ann.task(&waits).await["status"], json!("CREATED"));
        rig.granted(&waits, "w").await;
        again.stopped().await;
    })
    .await;
}
