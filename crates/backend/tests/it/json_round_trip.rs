//! JSON of clients is not re-encoded: parameters and results come back as the bytes that were sent.

use serde_json::json;
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

/// JSON that a re-encoding would change: spaces, big integers, escapes, the order of keys.
const FRAGILE_JSON: [&str; 6] = [
    r#"{ "big": 9223372036854775807,   "bigger": 123456789012345678901234567890, "e": 1.0e2 }"#,
    r#"{"nul": "a\u0000b", "slash": "\/", "crab": "🦀", "pair": "\ud83e\udd80", "quote": "\"' \\"}"#,
    r#"[1.0, -0, 0.1e-7, true, null, [], {}, ""]"#,
    r#""text""#,
    "17",
    "[\n  1,\t2\r\n]",
];

#[tokio::test]
async fn parameters_come_back_byte_for_byte_to_their_owner_and_to_the_worker() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        for json_text in FRAGILE_JSON {
            let id = user
                .post("/api/Task")
                .body(format!(r#"{{"type":"ECHO","parameters":{json_text},"ttl":9000}}"#))
                .await
                .id();
            let expected = format!(r#""parameters":{json_text},"#);
            let task = user.get(&format!("/api/Task/{id}")).await;
            assert!(task.text.contains(&expected), "{} != {json_text}", task.text);
            let granted = worker.claim_by_ids(Uuid::new_v4(), "w", &[&id]).await;
            assert!(granted.text.contains(&expected), "{} != {json_text}", granted.text);
        }
    })
    .await;
}

#[tokio::test]
async fn results_come_back_byte_for_byte() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        for json_text in FRAGILE_JSON.into_iter().chain(["null", "false"]) {
            let id = user.submit_echo().await;
            let grant = worker.claim_one(&id, "w").await;
            let (attempt, claim) = (grant.attempt, grant.claim);
            let report = format!(
                r#"{{"id":"{id}","type":"ECHO","attempt":{attempt},"claim":"{claim}","reported":{{"result":{json_text}}}}}"#
            );
            let body = format!(r#"{{"worker":"w","reports":[{report}]}}"#);
            let settled: serde_json::Value = worker.post("/api/Task/results").body(body).await.ok();
            assert_eq!(settled, json!([{"became": "finished"}]));
            assert_eq!(
                user.result(&id).await.expect_status(200).text,
                format!(r#"{{"result":{json_text}}}"#)
            );
        }
    })
    .await;
}
