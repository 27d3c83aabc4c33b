//! An administrator sees how the tasks of all owners go, and cancels them; never what they contain.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::on_each_database;

const SECRET: &str = "only-for-its-owner";

/// The ids of a page.
async fn list(admin: &ApiClient<'_>, query: &str) -> Vec<String> {
    let list: Value = admin.get(&format!("/api/Admin/Task{query}")).await.ok();
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    list["tasks"].as_array().unwrap().iter().map(id).collect()
}

/// An administrator of whom the id is known, and a user.
struct Accounts<'a> {
    admin: ApiClient<'a>,
    admin_id: String,
    user: ApiClient<'a>,
    user_id: String,
}

fn accounts(service: &crate::kit::test_backend::TestBackend) -> Accounts<'_> {
    let [admin_id, user_id] = [(), ()].map(|()| Uuid::new_v4().to_string());
    let admin = service.with_token(service.issuer.token(&admin_id, &["User", "Admin"]));
    let user = service.with_token(service.issuer.token(&user_id, &["User"]));
    Accounts { admin, admin_id, user, user_id }
}

#[tokio::test]
async fn an_admin_sees_the_tasks_of_all_owners_and_nothing_that_they_contain() {
    on_each_database(async |service| {
        let (Accounts { admin, user, user_id, .. }, worker) = (accounts(service), service.worker());
        let submit = async || {
            let task = json!({"type": "ECHO", "parameters": {"say": SECRET}, "ttl": 60_000});
            user.submit(task).await.id()
        };
        let (waiting, failed, finished) = (submit().await, submit().await, submit().await);
        let grant = worker.claim_one(&failed, "w").await;
        worker.report(&grant, json!({"error": SECRET})).await;
        let grant = worker.claim_one(&finished, "w").await;
        worker.report(&grant, json!({"result": SECRET})).await;
        let others = service.user().submit_echo().await;
        let ids = [others, finished.clone(), failed.clone(), waiting.clone()];
        assert_eq!(list(&admin, "").await, ids);
        assert_eq!(list(&admin, "?order=oldest&limit=2").await, [waiting.clone(), failed.clone()]);
        assert_eq!(list(&admin, "?worker=w").await, ids[1..3]);
        assert_eq!(list(&admin, &format!("?owner={user_id}")).await, ids[1..]);
        assert_eq!(list(&admin, &format!("?owner={user_id}&status=FINISHED&worker=w")).await, ids[1..2]);
        assert_eq!(list(&admin, "?status=CREATED").await, [ids[0].clone(), waiting.clone()]);
        assert_eq!(list(&admin, "?status=CANCELLED&type=ECHO").await, ids[2..3]);
        assert_eq!(list(&admin, &format!("?before={finished}")).await, ids[2..]);
        for id in &ids {
            let one = admin.get(&format!("/api/Admin/Task/{id}")).await.expect_status(200);
            assert!(!one.text.contains(SECRET), "{}", one.text);
        }
        let whole = admin.get("/api/Admin/Task").await.expect_status(200);
        assert!(!whole.text.contains(SECRET), "{}", whole.text);
        let task: Value = admin.get(&format!("/api/Admin/Task/{failed}")).await.ok();
        let of_owner = user.task(&failed).await;
        assert_eq!(task["owner"], user_id);
        for same in ["id", "type", "status", "reason", "creationDate", "startDate", "endDate", "deadline"] {
            assert_eq!(task[same], of_owner[same], "{same}");
        }
        assert_eq!((&task["attempts"], &task["workerName"]), (&json!(1), &json!("w")));
    })
    .await;
}

#[tokio::test]
async fn a_page_of_all_owners_links_to_the_next_one_with_its_conditions() {
    on_each_database(async |service| {
        let admin = service.admin();
        let mut all = Vec::new();
        for _ in 0..3 {
            all.insert(0, service.user().submit_echo().await);
        }
        let first = admin.get("/api/Admin/Task?status=CREATED&limit=2").await;
        let link = first.header("link").unwrap().to_owned();
        let (next, _) = link.trim_start_matches('<').split_once(">; rel=\"next\"").unwrap();
        let query = next.strip_prefix("/api/Admin/Task").unwrap();
        assert!(query.starts_with("?status=CREATED&limit=2&cursor="), "{query}");
        assert_eq!(list(&admin, query).await, all[2..]);
    })
    .await;
}

#[tokio::test]
async fn a_task_that_an_admin_cancels_names_the_admin() {
    on_each_database(async |service| {
        let (Accounts { admin, admin_id, user, .. }, worker) = (accounts(service), service.worker());
        let cancel = async |id: &str| admin.post(&format!("/api/Admin/Task/{id}/cancel")).await;
        let (waiting, running, own, finished) = (
            user.submit_echo().await,
            user.submit_echo().await,
            user.submit_echo().await,
            user.submit_echo().await,
        );
        worker.claim_one(&running, "w").await;
        for id in [&waiting, &running] {
            for _ in 0..2 {
                let task: Value = cancel(id).await.ok();
                assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("REQUESTED")));
                assert_eq!(task["cancelledBy"], admin_id);
            }
            assert_eq!(user.task(id).await["cancelledBy"], admin_id);
        }
        user.cancel(&own).await.expect_status(200);
        assert_eq!(cancel(&own).await.ok::<Value>()["cancelledBy"], json!(null));
        let grant = worker.claim_one(&finished, "w").await;
        worker.report(&grant, json!({"result": 1})).await;
        assert_eq!(cancel(&finished).await.problem(), (409, "already-ended".to_owned()));
        let absent = cancel(&Uuid::new_v4().to_string()).await;
        assert_eq!(absent.problem(), (404, "no-such-task".to_owned()));
        let waited = user.submit_echo().await;
        let (task, _) = tokio::join!(user.wait_for_end(&waited), cancel(&waited));
        assert_eq!(task["cancelledBy"], admin_id);
    })
    .await;
}

#[tokio::test]
async fn only_an_admin_sees_and_cancels_the_tasks_of_all_owners() {
    on_each_database(async |service| {
        let id = service.user().submit_echo().await;
        for caller in [service.user(), service.worker()] {
            for path in ["/api/Admin/Task", "/api/Admin/Task/counts", &format!("/api/Admin/Task/{id}")] {
                assert_eq!(caller.get(path).await.problem(), (403, "role-missing".to_owned()), "{path}");
            }
            let refused = caller.post(&format!("/api/Admin/Task/{id}/cancel")).await;
            assert_eq!(refused.problem(), (403, "role-missing".to_owned()));
        }
        let admin = service.admin();
        for query in ["?owner=me", "?worker=", "?status=DONE", "?limit=0", "?page=2", "?type=ECO"] {
            let answer = admin.get(&format!("/api/Admin/Task{query}")).await;
            assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{query}");
        }
        let task: Value = admin.get(&format!("/api/Admin/Task/{id}")).await.ok();
        assert_eq!(task["status"], "CREATED");
    })
    .await;
}
