//! Paths: fixed segments in any case, with or without a trailing slash, and a problem for a path that does not exist.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn a_path_may_be_in_any_case_and_end_in_a_slash() {
    on_each_database(async |service| {
        let user = service.user();
        for path in ["/api/Task/", "/api/Task", "/API/TASK/", "/api/task"] {
            let answer = user.post(path).json(json!({"type": "ECHO", "ttl": 1000})).await.expect_status(201);
            let id: String = answer.read();
            assert_eq!(answer.header("location"), Some(&*format!("/api/Task/{id}")));
        }
        let id = user.submit_echo().await;
        for path in [format!("/api/TASK/{id}/"), format!("/api/Task/{}", id.to_uppercase())] {
            assert_eq!(user.get(&path).await.ok::<Value>()["id"], *id);
        }
        user.get(&format!("/Api/Task/{id}/RESULT/")).await.expect_status(404);
        let percent_encoded = id.replace('-', "%2D");
        assert_eq!(user.task(&percent_encoded).await["id"], *id);
        let path = format!("/API/task/REQUEST/{id}/?workerName=w");
        service.worker().call(Method::PATCH, &path).await.expect_status(200);
        user.post(&format!("/api/task/{id}/CANCEL/")).await.expect_status(200);
        service.get("/HEALTH/live/").await.expect_status(200);
        service.get("/Swagger/V1/Swagger.json").await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn the_name_of_a_type_is_case_sensitive() {
    on_each_database(async |service| {
        let answer = service.user().submit(json!({"type": "echo", "ttl": 1000})).await;
        assert_eq!(answer.problem(), (422, "unknown-type".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn the_root_path_redirects_to_swagger_ui() {
    on_each_database(async |service| {
        let answer = service.get("/").await.expect_status(303);
        assert_eq!(answer.header("location"), Some("/index.html"));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_path_is_answered_404_and_an_invalid_id_400() {
    on_each_database(async |service| {
        let user = service.user();
        for path in
            ["/api", "/api/Job", "/api/Task/1/2/3", "/favicon.ico", "/swagger/v2/swagger.json", "/%FF"]
        {
            let answer = user.get(path).await;
            assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
            answer.problem();
        }
        for id in ["1", "%00", "%FF", "0191-2", "..%2F..%2Fetc%2Fpasswd", "' or 1=1 --"] {
            for path in [format!("/api/Task/{id}"), format!("/api/Task/{id}/result")] {
                assert_eq!(user.get(&path).await.problem(), (400, "malformed".to_owned()), "{path}");
            }
            assert_eq!(user.cancel(id).await.problem(), (400, "malformed".to_owned()), "{id}");
            assert_eq!(
                service.worker().claim_by_patch(id, "w").await.problem(),
                (400, "malformed".to_owned()),
                "{id}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_submitted_task_cannot_be_changed_by_any_method() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit_echo().await;
        let path = format!("/api/Task/{id}");
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::POST] {
            let answer = user.call(method.clone(), &path).await;
            assert_eq!(answer.problem(), (405, "method-not-allowed".to_owned()), "{method}");
            assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
        }
        let answer = user.call(Method::DELETE, "/api/Task").await;
        assert_eq!(answer.problem().0, 405);
        let mut allowed: Vec<_> = answer.header("allow").unwrap().split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["GET", "HEAD", "POST"]);
        assert_eq!(user.task(&id).await["status"], "CREATED");
    })
    .await;
}

#[tokio::test]
async fn a_head_request_is_answered_like_get_without_the_body() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit_echo().await;
        for (path, status) in
            [(format!("/api/Task/{id}"), 200), (format!("/api/Task/{}", Uuid::new_v4()), 404)]
        {
            let answer = user.call(Method::HEAD, &path).await.expect_status(status);
            assert_eq!(answer.text, "");
            assert!(answer.header("content-length").is_some());
        }
    })
    .await;
}
