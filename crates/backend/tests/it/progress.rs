//! What workers report of the progress of their tasks: who may, what it must be, where it is shown.

use domain::Grant;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

use crate::kit::event_reader::EventReader;
use crate::kit::openapi_checked_client::{ApiClient, ApiResponse};
use crate::kit::test_backend::{on_each_database, on_each_database_with_set_clock};

/// Reports the progress of a grant in the name of `worker`.
async fn report(
    client: &ApiClient<'_>,
    worker: &str,
    grant: &Grant,
    percent: u32,
    message: Value,
) -> ApiResponse {
    let Grant { id, attempt, claim, .. } = grant;
    let entry = json!({"id": id, "attempt": attempt, "claim": claim, "percent": percent, "message": message});
    client.post("/api/Task/progress").json(json!({"worker": worker, "progress": [entry]})).await
}

#[tokio::test]
async fn a_task_and_its_events_show_the_last_report_of_the_attempt() {
    on_each_database_with_set_clock(
        |_| {},
        async |service| {
            let (user, admin, worker) = (service.user(), service.admin(), service.worker());
            let id = user.submit_echo().await;
            assert_eq!(user.task(&id).await["progress"], Value::Null);
            let grant = worker.claim_one(&id, "w").await;
            let mut of_task = EventReader::open(&user, &format!("/api/Task/{id}/events"), None).await;
            let mut of_all = EventReader::open(&admin, "/api/Admin/Task/events", None).await;
            assert_eq!(of_task.expect("started").await.data["progress"], Value::Null);
            of_all.expect("reset").await;
            for (percent, message) in [(0, json!("begun")), (40, Value::Null), (30, json!("once more"))] {
                report(&worker, "w", &grant, percent, message.clone()).await.expect_status(204);
                let progress = user.task(&id).await["progress"].clone();
                assert_eq!((&progress["percent"], &progress["message"]), (&json!(percent), &message));
                assert_eq!(of_task.expect("progress").await.data["progress"], progress);
                let for_operators = of_all.expect("progress").await.data["progress"].clone();
                assert_eq!(
                    (&for_operators["percent"], &for_operators["message"]),
                    (&json!(percent), &Value::Null)
                );
                service.advance_clock(Duration::from_secs(1)).await;
            }
            let late = EventReader::open(&user, &format!("/api/Task/{id}/events"), None)
                .await
                .expect("progress")
                .await;
            assert_eq!(late.data["progress"]["percent"], 30);
            worker.report(&grant, json!("released")).await;
            assert_eq!(user.task(&id).await["progress"], Value::Null, "the next attempt begins anew");
            let grant = worker.claim_one(&id, "w").await;
            assert_eq!(user.task(&id).await["progress"], Value::Null);
            report(&worker, "w", &grant, 10, Value::Null).await.expect_status(204);
            worker.report(&grant, json!({"result": 1})).await;
            assert_eq!(user.task(&id).await["progress"]["percent"], 10, "how far it was");
            for kind in ["attemptEnded", "started", "progress", "ended"] {
                of_task.expect(kind).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn only_who_runs_a_task_reports_its_progress() {
    on_each_database(async |service| {
        let (user, worker, other) = (service.user(), service.worker(), service.worker());
        let id = user.submit_echo().await;
        let grant = worker.claim_one(&id, "w").await;
        let earlier = Grant { attempt: 7, ..grant.clone() };
        let foreign = Grant { claim: domain::ClaimId(Uuid::new_v4()), ..grant.clone() };
        for (client, name, grant) in [
            (&other, "w", &grant),
            (&worker, "x", &grant),
            (&worker, "w", &earlier),
            (&worker, "w", &foreign),
        ] {
            report(client, name, grant, 50, Value::Null).await.expect_status(204);
            assert_eq!(user.task(&id).await["progress"], Value::Null);
        }
        report(&user, "w", &grant, 50, Value::Null).await.expect_status(403);
        user.cancel(&id).await.expect_status(200);
        report(&worker, "w", &grant, 50, Value::Null).await.expect_status(204);
        assert_eq!(user.task(&id).await["progress"], Value::Null, "it has ended");
    })
    .await;
}

#[tokio::test]
async fn of_many_reports_in_a_second_one_counts() {
    on_each_database_with_set_clock(
        |_| {},
        async |service| {
            let (user, worker) = (service.user(), service.worker());
            let id = user.submit_echo().await;
            let grant = worker.claim_one(&id, "w").await;
            for (percent, shown) in [(1, 1), (2, 1), (3, 3)] {
                report(&worker, "w", &grant, percent, Value::Null).await.expect_status(204);
                assert_eq!(user.task(&id).await["progress"]["percent"], shown);
                service.advance_clock(Duration::from_millis(250)).await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_report_that_breaks_a_rule_is_refused_with_its_place() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let grant = worker.claim_one(&id, "w").await;
        let long = "x".repeat(256);
        for (percent, message, member, rule) in [
            (101, json!(""), "percent", "percent must be 0 to 100"),
            (1, json!(long), "message", "message must have at most 255 characters"),
            (1, json!("a\u{1b}[31m"), "message", "message must not contain control characters"),
            (1, json!("a\u{0}"), "message", "message must not contain control characters"),
        ] {
            let refused = report(&worker, "w", &grant, percent, message).await;
            assert_eq!(refused.problem(), (422, "progress-invalid".to_owned()));
            assert_eq!(refused.errors(), [(format!("/progress/0/{member}"), rule.to_owned())].into());
        }
        let entry = json!({"id": id, "attempt": 1, "claim": grant.claim, "percent": 1});
        let many = json!({"worker": "w", "progress": vec![entry; 1001]});
        let refused = worker.post("/api/Task/progress").json(many).await;
        assert_eq!(refused.problem(), (422, "too-many-reports".to_owned()));
        assert_eq!(user.task(&id).await["progress"], Value::Null);
    })
    .await;
}
