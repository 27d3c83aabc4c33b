//! Tasks that become ready after their submission, and tasks that may wait for a limited time only.

use std::time::Duration;

use domain::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::{on_each_database, on_each_database_with};

/// How long the short delays of these tests are, in milliseconds.
const DELAY_MS: i64 = 300;

fn check_often(settings: &mut backend::Settings) {
    settings.check_period = Duration::from_millis(20);
}

#[tokio::test]
async fn a_delayed_task_is_granted_when_its_time_has_come() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let mut task = json!({"type": "ECHO", "ttl": 60_000, "delayMs": DELAY_MS});
        for _ in 0..2 {
            let id = user.submit(task).await.id();
            let delayed = user.task(&id).await;
            assert_eq!(delayed["status"], "CREATED");
            let not_before = instant(&delayed["notBefore"]);
            let claimed = worker.claim_by_ids(Uuid::new_v4(), "w", &[&id]).await.grants();
            let grants = if claimed.is_empty() {
                worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants()
            } else {
                claimed
            };
            assert_eq!(grants.len(), 1, "{delayed}");
            let started = instant(&user.task(&id).await["startDate"]);
            assert!(started >= not_before, "started at {started}, not before {not_before}");
            // The next one names the instant.
            let next = Timestamp((not_before + DELAY_MS) * 1000);
            task = json!({"type": "ECHO", "ttl": 60_000, "notBefore": next});
        }
    })
    .await;
}

#[tokio::test]
async fn a_delayed_task_can_be_cancelled_and_is_listed_as_created() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit(json!({"type": "ECHO", "ttl": 60_000, "delayMs": 3_600_000})).await.id();
        let created: Value = user.get("/api/Task?status=CREATED").await.ok();
        assert_eq!(created["tasks"][0]["id"], id.as_str());
        let cancelled: Value = user.cancel(&id).await.ok();
        assert_eq!((&cancelled["reason"], &cancelled["attempts"]), (&json!("REQUESTED"), &json!(0)));
    })
    .await;
}

#[tokio::test]
async fn a_task_waits_no_longer_than_its_start_within() {
    on_each_database_with(check_often, async |service| {
        let user = service.user();
        let task = json!({"type": "ECHO", "ttl": 60_000, "delayMs": 1, "startWithinMs": 1});
        let id = user.submit(task).await.id();
        let ended = user.wait_for_end(&id).await;
        assert_eq!((&ended["reason"], &ended["startDate"]), (&json!("NOT_STARTED"), &Value::Null));
        let waited = instant(&ended["endDate"]) - instant(&ended["notBefore"]);
        assert!(waited >= 1, "it may wait for a millisecond once it is ready: {ended}");
    })
    .await;
}

/// The Backend that has accepted a task knows when it becomes ready; the others find it by their periodic check.
#[tokio::test]
async fn a_delayed_task_that_another_backend_has_accepted_is_granted_too() {
    on_each_database_with(check_often, async |service| {
        let worker = service.worker();
        service.submit_to_store(Uuid::new_v4(), "ECHO", 1).await;
        service.execute_sql("update unfinished_task set phase = 0".to_owned()).await;
        let grants = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants();
        assert_eq!(grants.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_instant_in_the_past_delays_nothing() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id =
            user.submit(json!({"type": "ECHO", "ttl": 5000, "notBefore": "2020-02-29T00:00:00Z"})).await.id();
        assert_eq!(user.task(&id).await["notBefore"], Value::Null);
        worker.claim_one(&id, "w").await;
    })
    .await;
}

#[tokio::test]
async fn invalid_times_are_refused_with_their_field_and_rule() {
    on_each_database(async |service| {
        let user = service.user();
        let year = 366_i64 * 24 * 60 * 60 * 1000;
        for (field, value, pointer, part) in [
            ("delayMs", json!(-1), "/delayMs", "0 to 31622400000"),
            ("delayMs", json!(1.5), "/delayMs", "whole number"),
            ("delayMs", json!(year + 1), "/delayMs", "0 to 31622400000"),
            ("startWithinMs", json!(0), "/startWithinMs", "1 to 31622400000"),
            ("startWithinMs", json!("7d"), "/startWithinMs", "whole number"),
            ("notBefore", json!("tomorrow"), "/notBefore", "RFC 3339"),
            ("notBefore", json!(5), "/notBefore", "RFC 3339"),
            ("notBefore", json!("9999-01-01T00:00:00Z"), "/notBefore", "a year from now"),
        ] {
            let problem = user
                .submit(json!({"type": "ECHO", "ttl": 5000, field: value}))
                .await
                .expect_status(422)
                .read::<Value>();
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
            assert!(problem["errors"][0]["detail"].as_str().unwrap().contains(part), "{problem}");
        }
        let both = json!({"type": "ECHO", "ttl": 5000, "delayMs": 1, "notBefore": "2030-01-01T00:00:00Z"});
        assert_eq!(
            user.submit(both).await.expect_status(422).read::<Value>()["errors"][0]["detail"],
            "give either notBefore or delayMs"
        );
        let all = json!({"type": "ECHO", "ttl": 0, "delayMs": -1, "startWithinMs": 0});
        assert_eq!(
            user.submit(all).await.expect_status(422).read::<Value>()["errors"].as_array().unwrap().len(),
            3,
            "all at once"
        );
    })
    .await;
}

/// A date of the API, in milliseconds since 1970.
fn instant(date: &Value) -> i64 {
    serde_json::from_value::<Timestamp>(date.clone()).unwrap().0 / 1000
}
