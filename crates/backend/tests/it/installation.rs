//! Requests of workers that say for which installation they are.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn a_request_for_another_installation_is_refused_and_has_no_effect() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let claim = || worker.claim_by_ids(Uuid::new_v4(), "w", &[&id]);
        let other = Uuid::new_v4().to_string();
        let refused = claim().header("Tasker-Installation", &other).await;
        assert_eq!(refused.problem(), (421, "another-installation".to_owned()));
        assert_eq!(user.task(&id).await["status"], "CREATED");
        let heartbeat = worker.heartbeat("w", &[]).header("Tasker-Installation", &other).await;
        assert_eq!(heartbeat.problem(), (421, "another-installation".to_owned()));
        assert_eq!(worker.get("/api/Worker").await.ok::<Value>()["workers"], json!([]));
        let malformed = worker.heartbeat("w", &[]).header("Tasker-Installation", "mine").await;
        assert_eq!(malformed.problem().0, 400);

        let installation = worker.heartbeat("w", &[]).await.ok::<Value>()["installation"].clone();
        let installation = installation.as_str().unwrap();
        let grants = claim().header("Tasker-Installation", installation).await.grants();
        let report = |installation: &str| {
            let report = worker.report_all("w", &[(&grants[0], json!({"result": 1}))]);
            report.header("Tasker-Installation", installation)
        };
        assert_eq!(report(&other).await.problem(), (421, "another-installation".to_owned()));
        assert_eq!(report(installation).await.ok::<Value>(), json!([{"became": "finished"}]));
    })
    .await;
}
