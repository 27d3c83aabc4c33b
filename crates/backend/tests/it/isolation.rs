//! Users are isolated: no answer depends on another user's task.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::on_each_database;

/// Everything of an answer that a caller could compare: status, headers without the date, body.
async fn whole_answer(
    client: &ApiClient<'_>,
    method: Method,
    path: &str,
    preference: Option<&str>,
) -> (u16, Vec<String>, String) {
    // Without an id of its own each request is given another one, which its answer names.
    let request = client.call(method, path).header("x-request-id", "one-for-all");
    let answer =
        if let Some(preference) = preference { request.prefer(preference).await } else { request.await };
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
async fn another_users_task_is_answered_like_one_that_does_not_exist() {
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
                for (method, suffix, preference) in [
                    (Method::GET, "", None),
                    (Method::GET, "", Some("wait=0")),
                    (Method::HEAD, "", None),
                    (Method::PUT, "", None),
                    (Method::PATCH, "", None),
                    (Method::DELETE, "", None),
                    (Method::GET, "/result", None),
                    (Method::HEAD, "/result", None),
                    (Method::POST, "/cancel", None),
                    (Method::GET, "/events", None),
                ] {
                    let of_another_user =
                        whole_answer(caller, method.clone(), &format!("/api/Task/{id}{suffix}"), preference)
                            .await;
                    let of_no_task = whole_answer(
                        caller,
                        method.clone(),
                        &format!("/api/Task/{absent}{suffix}"),
                        preference,
                    )
                    .await;
                    assert_eq!(of_another_user, of_no_task, "{method} {suffix}");
                    assert!(matches!(of_another_user.0, 404 | 405));
                }
            }
        }
        assert_eq!(user.task(&waiting).await["status"], "CREATED");
        assert_eq!(user.task(&running).await["status"], "RUNNING");
    })
    .await;
}

#[tokio::test]
async fn a_list_holds_only_the_callers_own_tasks() {
    on_each_database(async |service| {
        let (user, other_user, admin) = (service.user(), service.user(), service.admin());
        let (first_task, second_task) = (user.submit_echo().await, other_user.submit_echo().await);
        for query in [
            String::new(),
            "?limit=1000".to_owned(),
            format!("?before={second_task}"),
            "?before=ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        ] {
            for (client, task_of_another) in [
                (&user, &second_task),
                (&other_user, &first_task),
                (&admin, &first_task),
                (&admin, &second_task),
            ] {
                let list = client.get(&format!("/api/Task{query}")).await.expect_status(200).text;
                assert!(!list.contains(&**task_of_another), "{query}");
            }
        }
        let list: Value = admin.get("/api/Task").await.ok();
        assert_eq!(list, json!({"tasks": []}), "an admin sees only its own tasks, too");
        admin.submit_echo().await;
    })
    .await;
}
