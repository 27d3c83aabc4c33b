//! No answer depends on another user's task.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::clients::Person;
use crate::kit::service::each;

/// Everything of an answer that somebody could look at: status, headers but the date, body.
async fn all_of(
    person: &Person<'_>,
    method: Method,
    path: &str,
    wish: Option<&str>,
) -> (u16, Vec<String>, String) {
    // Without an id of its own each request is given another, which its answer names.
    let call = person.call(method, path).header("x-request-id", "one-for-all");
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
    each(async |service| {
        let (ann, bob, boss, rig) = (service.user(), service.user(), service.admin(), service.worker());
        let (waiting, running, done) = (ann.created().await, ann.created().await, ann.created().await);
        rig.granted(&running, "w").await;
        let grant = rig.granted(&done, "w").await;
        rig.report(&grant, json!({"result": 1})).await;
        let absent = Uuid::new_v4().to_string();
        for snoop in [&bob, &boss] {
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
                    let theirs = all_of(snoop, method.clone(), &format!("/api/Task/{id}{tail}"), wish).await;
                    let nobodys =
                        all_of(snoop, method.clone(), &format!("/api/Task/{absent}{tail}"), wish).await;
                    assert_eq!(theirs, nobodys, "{method} {tail}");
                    assert!(matches!(theirs.0, 404 | 405));
                }
            }
        }
        assert_eq!(ann.task(&waiting).await["status"], "CREATED");
        assert_eq!(ann.task(&running).await["status"], "RUNNING");
    })
    .await;
}

#[tokio::test]
async fn a_list_holds_the_callers_own_tasks_alone() {
    each(async |service| {
        let (ann, bob, boss) = (service.user(), service.user(), service.admin());
        let (hers, his) = (ann.created().await, bob.created().await);
        for query in [
            String::new(),
            "?limit=1000".to_owned(),
            format!("?before={his}"),
            "?before=ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        ] {
            for (person, foreign) in [(&ann, &his), (&bob, &hers), (&boss, &hers), (&boss, &his)] {
                let list = person.get(&format!("/api/Task{query}")).await.is(200).text;
                assert!(!list.contains(&**foreign), "{query}");
            }
        }
        let list: Value = boss.get("/api/Task").await.ok();
        assert_eq!(list, json!({"tasks": []}), "an Admin too sees only its own");
        boss.created().await;
    })
    .await;
}
