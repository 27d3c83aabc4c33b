//! Reading a task again: only if it has changed, and as soon as it has.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::test_backend::{on_each_database, on_each_database_with};

#[tokio::test]
async fn a_task_that_has_not_changed_is_answered_304() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let path = format!("/api/Task/{id}");
        let created = user.get(&path).await.expect_status(200);
        let tag = created.header("etag").unwrap().to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        for known in [&*tag, tag.trim_start_matches("W/"), &format!("\"other\", {tag}"), "*"] {
            let same = user.get(&path).header("If-None-Match", known).await.expect_status(304);
            assert_eq!((same.text.as_str(), same.header("etag")), ("", Some(&*tag)));
        }
        user.get(&path).header("If-None-Match", "\"other\"").await.expect_status(200);
        let grant = worker.claim_one(&id, "w").await;
        let running = user.get(&path).header("If-None-Match", &tag).await.expect_status(200);
        assert_eq!(running.read::<Value>()["status"], "RUNNING");
        assert_ne!(running.header("etag").unwrap(), tag);
        worker.report(&grant, json!({"result": 1})).await;
        let tag = running.header("etag").unwrap().to_owned();
        user.get(&path).header("If-None-Match", &tag).await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn a_request_that_knows_a_task_waits_until_it_changes() {
    let adjust = |settings: &mut backend::Settings| settings.slow_check = Duration::from_millis(20);
    on_each_database_with(adjust, async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let path = format!("/api/Task/{id}");
        let tag = user.get(&path).await.header("etag").unwrap().to_owned();
        let wait = user.get(&path).header("If-None-Match", &tag).prefer("wait=30");
        let (changed, grant) = tokio::join!(wait.into_future(), worker.claim_one(&id, "w"));
        assert_eq!(changed.header("preference-applied"), Some("wait=30"));
        let tag = changed.header("etag").unwrap().to_owned();
        assert_eq!(changed.expect_status(200).read::<Value>()["status"], "RUNNING");
        let unchanged = user.get(&path).header("If-None-Match", &tag).prefer("wait=0").await;
        unchanged.expect_status(304);
        worker.report(&grant, json!({"result": 1})).await;
        // An ended task changes no more: nobody waits for it.
        let ended = user.get(&path).await;
        let tag = ended.header("etag").unwrap();
        user.get(&path).header("If-None-Match", tag).prefer("wait=60").await.expect_status(304);
    })
    .await;
}

#[tokio::test]
async fn a_request_waits_for_the_result_of_a_task() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let work = async {
            let grant = worker.claim_one(&id, "w").await;
            worker.report(&grant, json!({"result": {"say": "hi"}})).await
        };
        let (answer, _) = tokio::join!(user.result(&id).prefer("wait=30").into_future(), work);
        assert_eq!(answer.header("preference-applied"), Some("wait=30"));
        assert_eq!(answer.ok::<Value>(), json!({"result": {"say": "hi"}}));
        let waiting = user.submit_echo().await;
        assert_eq!(user.result(&waiting).prefer("wait=0").await.problem(), (404, "no-result".to_owned()));
        let foreign = service.user().result(&waiting).prefer("wait=30").await;
        assert_eq!(foreign.problem(), (404, "no-such-task".to_owned()));
    })
    .await;
}
