//! A worker's name belongs to the account that uses it, and to one process at a time; a grant belongs to whom it was given.

use std::time::Duration;

use backend::Settings;
use domain::Grant;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{on_each_database, on_each_database_with};
use crate::kit::until::until;

#[tokio::test]
async fn the_name_of_a_live_worker_is_refused_to_other_accounts() {
    on_each_database(async |service| {
        let (user, worker, other) = (service.user(), service.worker(), service.worker());
        worker.heartbeat("w", &[]).await.expect_status(200);
        let id = user.submit_echo().await;
        let grant = worker.claim_one(&id, "w").await;
        for answer in [
            other.heartbeat("w", &[]).await,
            other.claim_by_ids(grant.claim.0, "w", &[&id]).await,
            other.claim_by_type(grant.claim.0, "w", "ECHO", 1, 0).await,
            other.claim_by_patch(&id, "w").prefer("return=representation").await,
        ] {
            assert_eq!(answer.problem(), (409, "worker-name-taken".to_owned()));
            assert!(answer.text.contains("belongs to another account or client"), "{}", answer.text);
        }
        assert_eq!(user.task(&id).await["status"], "RUNNING");
        assert_eq!(worker.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
    })
    .await;
}

/// A name without heartbeats is nobody's, so grants are told apart by the accounts that hold them.
#[tokio::test]
async fn a_grant_is_shown_to_its_account_only_and_reported_by_it_only() {
    on_each_database(async |service| {
        let (user, worker, other) = (service.user(), service.worker(), service.worker());
        let id = user.submit_echo().await;
        let grant = worker.claim_by_patch(&id, "w").prefer("return=representation").await.grants().remove(0);
        let by_patch = other.claim_by_patch(&id, "w").prefer("return=representation").await;
        assert_eq!(by_patch.problem(), (409, "not-granted".to_owned()));
        assert!(other.claim_by_ids(grant.claim.0, "w", &[&id]).await.grants().is_empty());
        assert!(
            other.claim_by_type(grant.claim.0, "w", "ECHO", 1, 0).await.grants_unless_duplicate().is_none()
        );
        for reported in [json!({"result": "forged"}), json!({"error": "forged"}), json!("released")] {
            assert_eq!(other.report(&grant, reported).await, json!({"became": "unknown"}));
        }
        let unclaimed = Grant { id: user.submit_echo().await.parse().unwrap(), ..grant.clone() };
        assert_eq!(other.report(&unclaimed, json!({"result": 1})).await, json!({"became": "unknown"}));
        let response: Value = other.heartbeat("w", &[(&id, 1)]).await.ok();
        assert_eq!(response["stop"][0]["id"], *id, "it is not the other's");
        assert_eq!(user.task(&id).await["status"], "RUNNING", "the heartbeat has not ended it");
        let by_another_name = worker.report_as("other", &grant, json!({"result": 1})).await;
        assert_eq!(by_another_name, json!({"became": "stale"}));
        assert_eq!(worker.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
        assert_eq!(other.report(&grant, json!({"result": 1})).await, json!({"became": "unknown"}));
    })
    .await;
}

#[tokio::test]
async fn a_second_process_waits_until_the_first_has_stopped() {
    on_each_database(async |service| {
        let (user, first) = (service.user(), service.worker());
        let second = first.another_process();
        first.heartbeat("w", &[]).await.expect_status(200);
        let grant = first.claim_one(&user.submit_echo().await, "w").await;
        let waiting = user.submit_echo().await;
        for answer in [
            second.heartbeat("w", &[]).await,
            second.claim_by_ids(Uuid::new_v4(), "w", &[&waiting]).await,
            second.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 0).await,
            second.claim_by_patch(&waiting, "w").await,
        ] {
            assert_eq!(answer.problem(), (409, "worker-name-taken".to_owned()));
            assert!(answer.text.contains("received first at 20"), "{}", answer.text);
        }
        last_heartbeat(&first).await;
        assert_eq!(second.heartbeat("w", &[]).await.status, 409, "a task of the first still runs");
        assert_eq!(first.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
        last_heartbeat(&first).await;
        second.heartbeat("w", &[]).await.expect_status(200);
        second.claim_one(&waiting, "w").await;
        assert_eq!(first.heartbeat("w", &[]).await.problem(), (409, "worker-name-taken".to_owned()));
        let by_patch = format!("/api/Task/request/{waiting}?workerName=w&instance={}", second.instance);
        second.call(reqwest::Method::PATCH, &by_patch).await.expect_status(200);
    })
    .await;
}

async fn last_heartbeat(worker: &ApiClient<'_>) {
    let instance = worker.instance;
    let body =
        json!({"worker": "w", "instance": instance, "slots": 8, "types": [], "running": [], "last": true});
    worker.post("/api/Worker/heartbeat").json(body).await.expect_status(200);
}

#[tokio::test]
async fn a_second_process_takes_the_name_of_a_lost_one_and_covers_none_of_its_tasks() {
    let adjust = |settings: &mut Settings| {
        settings.worker_lost = Duration::from_millis(300);
        settings.check_period = Duration::from_millis(50);
    };
    on_each_database_with(adjust, async |service| {
        let (user, first) = (service.user(), service.worker());
        let second = first.another_process();
        first.heartbeat("w", &[]).await.expect_status(200);
        let id = user.submit_echo().await;
        first.claim_one(&id, "w").await;
        until("the second process has the name", async || second.heartbeat("w", &[]).await.status == 200)
            .await;
        assert_eq!(user.task(&id).await["reason"], "WORKER_LOST");
    })
    .await;
}

#[tokio::test]
async fn a_name_has_visible_characters_only() {
    on_each_database(async |service| {
        let worker = service.worker();
        let id = service.user().submit_echo().await;
        for hidden in
            ["rig\u{9b}7", "rig\u{202e}7", "rig\u{2066}7", "rig\u{200b}7", "rig\u{2028}7", "rig\u{e0041}7"]
        {
            let refused = worker.heartbeat(hidden, &[]).await;
            assert_eq!(refused.problem(), (422, "wrong-shape".to_owned()), "{hidden:?}");
            assert!(refused.text.contains("1 to 200 visible characters"), "{}", refused.text);
            let refused = worker.claim_by_patch(&id, hidden).await;
            assert_eq!(refused.problem(), (400, "malformed".to_owned()), "{hidden:?}");
        }
        worker.heartbeat("rig 7 · Köln · 名前 🦀", &[]).await.expect_status(200);
    })
    .await;
}
