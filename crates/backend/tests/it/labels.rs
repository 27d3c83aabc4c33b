//! Labels: what a submitter finds own tasks by.

use serde_json::{Value, json};

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::on_each_database;

async fn submit(user: &ApiClient<'_>, labels: Value) -> String {
    user.submit(json!({"type": "ECHO", "ttl": 60_000, "labels": labels})).await.id()
}

async fn list(user: &ApiClient<'_>, query: &str) -> Vec<String> {
    let list: Value = user.get(&format!("/api/Task?{query}")).await.ok();
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    list["tasks"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn the_labels_of_a_task_are_shown_and_find_it() {
    on_each_database(async |service| {
        let (user, other_user, admin, worker) =
            (service.user(), service.user(), service.admin(), service.worker());
        let labels = json!({"team": "payments", "example.com/stage": "a:b c=\u{1f600}", "empty": ""});
        let first = submit(&user, labels.clone()).await;
        let second = submit(&user, json!({"team": "payments", "run": "7"})).await;
        let third = submit(&user, json!({"team": "other"})).await;
        let plain = user.submit_echo().await;
        let foreign = submit(&other_user, json!({"team": "payments"})).await;

        assert_eq!(user.task(&first).await["labels"], labels);
        assert_eq!(user.task(&plain).await["labels"], json!({}));
        let all: Value = user.get("/api/Task").await.ok();
        let shown: Vec<Option<&Value>> =
            all["tasks"].as_array().unwrap().iter().map(|task| task.get("labels")).collect();
        let expected = [json!({"team": "other"}), json!({"team": "payments", "run": "7"}), labels];
        assert_eq!(shown, [None, Some(&expected[0]), Some(&expected[1]), Some(&expected[2])]);

        assert_eq!(list(&user, "label=team:payments").await, [second.clone(), first.clone()]);
        let oldest = list(&user, "label=team:payments&order=oldest&limit=1").await;
        assert_eq!(oldest, std::slice::from_ref(&first));
        assert_eq!(list(&user, "label=team:payments&label=run:7").await, std::slice::from_ref(&second));
        assert_eq!(list(&user, "label=run:7&label=team:payments").await, std::slice::from_ref(&second));
        assert_eq!(
            list(&user, "label=example.com/stage:a:b%20c%3D%F0%9F%98%80").await,
            std::slice::from_ref(&first)
        );
        assert_eq!(list(&user, "label=empty:").await, std::slice::from_ref(&first));
        assert!(list(&user, "label=team:payments&label=team:other").await.is_empty());
        assert!(list(&user, "label=team:payment").await.is_empty());

        worker.claim_one(&second, "w").await;
        user.cancel(&first).await.expect_status(200);
        let with = async |status: &str| list(&user, &format!("label=team:payments&status={status}")).await;
        assert_eq!(
            (with("RUNNING").await, with("CANCELLED").await),
            (vec![second.clone()], vec![first.clone()])
        );
        assert!(with("CREATED").await.is_empty());
        assert_eq!(
            list(&user, "label=team:other&type=ECHO&createdBefore=2100-01-01T00:00:00Z").await,
            [third]
        );

        assert_eq!(list(&other_user, "label=team:payments").await, std::slice::from_ref(&foreign));
        let of_all: Value = admin.get("/api/Admin/Task?label=team:payments&label=run:7").await.ok();
        assert_eq!(of_all["tasks"][0]["id"], second);
        assert_eq!(of_all["tasks"][0]["labels"], json!({"team": "payments", "run": "7"}));
        assert_eq!(of_all["tasks"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn tasks_are_cancelled_by_their_labels() {
    on_each_database(async |service| {
        let user = service.user();
        let (run, other_run) =
            (submit(&user, json!({"run": "7", "x": "1"})).await, submit(&user, json!({"run": "8"})).await);
        for (labels, cancelled) in
            [(json!({"run": "7", "x": "2"}), 0), (json!({"run": "7", "x": "1"}), 1), (json!({"run": "7"}), 0)]
        {
            let answer: Value = user.post("/api/Task/cancel").json(json!({"labels": labels})).await.ok();
            assert_eq!(answer, json!({"cancelled": cancelled, "hasMore": false}), "{labels}");
        }
        assert_eq!(user.task(&run).await["status"], "CANCELLED");
        assert_eq!(user.task(&other_run).await["status"], "CREATED");
        let refused = user.post("/api/Task/cancel").json(json!({"labels": {"run": 7}})).await;
        assert!(refused.expect_status(422).errors()["/labels/run"].contains("255 characters"));
    })
    .await;
}

#[tokio::test]
async fn an_invalid_label_is_named_with_its_rule() {
    on_each_database(async |service| {
        let user = service.user();
        let many: serde_json::Map<String, Value> = (0..9).map(|n| (format!("k{n}"), json!("v"))).collect();
        for (labels, pointer, rule) in [
            (json!("team"), "/labels", "at most 8"),
            (json!(null), "/labels", "at most 8"),
            (json!(many), "/labels", "at most 8"),
            (json!({"": "x"}), "/labels/", "1 to 63"),
            (json!({"two words": "x"}), "/labels/two words", "1 to 63"),
            (json!({"a/ä": "x"}), "/labels/a~1ä", "1 to 63"),
            (json!({"k".repeat(64): "x"}), &*format!("/labels/{}", "k".repeat(64)), "1 to 63"),
            (json!({"team": "x".repeat(256)}), "/labels/team", "at most 255 characters"),
            (json!({"team": "a\nb"}), "/labels/team", "without control characters"),
            (json!({"team": 5}), "/labels/team", "a text"),
        ] {
            let answer = user.submit(json!({"type": "ECHO", "ttl": 5000, "labels": labels})).await;
            let errors = answer.expect_status(422).errors();
            assert!(errors[pointer].contains(rule), "{labels}: {errors:?}");
        }
        let twice =
            user.post("/api/Task").body(r#"{"type": "ECHO", "ttl": 5, "labels": {"a": "1", "a": "2"}}"#);
        assert_eq!(twice.await.expect_status(422).errors()["/labels/a"], "a occurs twice");
        let both = user.submit(json!({"type": "ECHO", "ttl": 0, "labels": {"a": 1, "b": 2}})).await;
        let errors = both.expect_status(422).errors();
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["/labels/a", "/labels/b", "/ttl"]);
        submit(&user, json!({"k".repeat(63): "ü".repeat(255)})).await;
        for query in ["label=team", "label=:x", "label=", "label=two%20words:x", "label=a:%0A"] {
            let answer = user.get(&format!("/api/Task?{query}")).await;
            assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{query}");
            assert!(answer.text.contains("label: "), "{}", answer.text);
        }
        let many = (0..9).map(|n| format!("label=k{n}:v")).collect::<Vec<_>>().join("&");
        let answer = user.get(&format!("/api/Task?{many}")).await;
        assert!(answer.expect_status(400).text.contains("label: it may be given 8 times"));
    })
    .await;
}
