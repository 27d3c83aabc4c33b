//! No answer depends on another user's task.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::on_each_database;

/// Everything of an answer that somebody could look at: status, headers but the date, body.
async fn all_of(
    person: &ApiClient<'_>,
    method: Method,
    path: &str,
    wish: Option<&str>,
) -> (u16, Vec<String>, String) {
    let call = person.call(method, path);
    let answer = if let Some(wish) = wish { call.prefer(wish).await } else { call.await };
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    (answer.status, headers, answer.text)
}

#[tokio::test]
async fn another_users_task_looks_like_one_that_does_not_exist() {
    on_each_database(async |service| {
        let (user, other_user, admin, worker) =
            (service.user(), service.user(), service.admin(), service.worker());
        let (waiting, running, done) =
            (user.submit_echo().await, user.submit_echo().await, user.submit_echo().await);
        worker.claim_one(&running, "w").await;
        let grant = worker.claim_one(&done, "w").await;
        worker.report(&grant, json!({"result": 1})).await;
        let absent = Uuid::new_v4().to_string();
        for caller in [&other_user, &admin] {
            for id in [&waiting, &running, &done] {
                for (method, tail, wish) in [
                    (Method::GET, "", None),
                    (Method::GET, "", Some("wait=0")),
                    (Method::HEAD, "", None),
                    (Method::PUT, "", None),
                    (Method::PATCH, "", None),
                    (Method::DELETE, "", None),
                    (Method::GET, "/result", None),
                    (Method::HEAD, "/result", None),
                    (Method::POST, "/cancel", None),
                ] {
                    let theirs = all_of(caller, method.clone(), &format!("/api/Task/{id}{tail}"), wish).await;
                    let nobodys =
                        all_of(caller, method.clone(), &format!("/api/Task/{absent}{tail}"), wish).await;
                    assert_eq!(theirs, nobodys, "{method} {tail}");
                    assert!(matches!(theirs.0, 404 | 405));
                }
            }
        }
        assert_eq!(user.task(&waiting).await["status"], "CREATED");
        assert_eq!(user.task(&running).await["status"], "RUNNING");
    })
    .await;
}

#[tokio::test]
async fn a_list_holds_the_callers_own_tasks_alone() {
    on_each_database(async |service| {
        let (user, other_user, admin) = (service.user(), service.user(), service.admin());
        let (hers, his) = (user.submit_echo().await, other_user.submit_echo().await);
        for query in [
            String::new(),
            "?limit=1000".to_owned(),
            format!("?before={his}"),
            "?before=ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        ] {
            for (person, foreign) in [(&user, &his), (&other_user, &hers), (&admin, &hers), (&admin, &his)] {
                let list = person.get(&format!("/api/Task{query}")).await.expect_status(200).text;
                assert!(!list.contains(&**foreign), "{query}");
            }
        }
        let list: Value = admin.get("/api/Task").await.ok();
        assert_eq!(list, json!({"tasks": []}), "an Admin too sees only its own");
        admin.submit_echo().await;
    })
    .await;
}
