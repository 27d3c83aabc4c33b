//! The list of a caller's tasks, newest first: all of them, or a page.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

fn ids(list: &Value) -> Vec<String> {
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    list["tasks"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn a_list_has_the_newest_task_first_and_the_status_of_each() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let empty: Value = user.get("/api/Task/").await.ok();
        assert_eq!(empty, json!({"tasks": []}));
        let (first, second, third) =
            (user.submit_echo().await, user.submit_echo().await, user.submit_echo().await);
        worker.claim_one(&first, "w").await;
        user.cancel(&second).await.expect_status(200);
        let list: Value = user.get("/api/Task/").await.ok();
        let mut expected = Vec::new();
        for (id, status, reason) in
            [(third, "CREATED", None), (second, "CANCELLED", Some("REQUESTED")), (first, "RUNNING", None)]
        {
            let created = &user.task(&id).await["creationDate"];
            expected.push(
                json!({"id": id, "type": "ECHO", "status": status, "reason": reason, "creationDate": created}),
            );
        }
        assert_eq!(list, json!({"tasks": expected}));
    })
    .await;
}

#[tokio::test]
async fn a_page_begins_after_the_last_id_of_the_page_before() {
    on_each_database(async |service| {
        let user = service.user();
        let mut all = Vec::new();
        for _ in 0..5 {
            all.insert(0, user.submit_echo().await);
        }
        let page = async |query: String| ids(&user.get(&format!("/api/Task?{query}")).await.ok());
        assert_eq!(page("limit=2".to_owned()).await, all[..2]);
        assert_eq!(page(format!("limit=2&before={}", all[1])).await, all[2..4]);
        assert_eq!(page(format!("before={}", all[3])).await, all[4..]);
        assert!(page(format!("before={}", all[4])).await.is_empty());
        assert_eq!(page("limit=1000".to_owned()).await, all);
    })
    .await;
}

#[tokio::test]
async fn a_full_page_links_to_the_next_one() {
    on_each_database(async |service| {
        let user = service.user();
        let mut all = Vec::new();
        for _ in 0..4 {
            all.insert(0, user.submit_echo().await);
        }
        let (mut path, mut found) = ("/api/Task?limit=2".to_owned(), Vec::new());
        loop {
            let answer = user.get(&path).await;
            let next = answer.header("link").map(|link| {
                let (address, relation) = link.trim_start_matches('<').split_once('>').unwrap();
                assert_eq!(relation, "; rel=\"next\"");
                address.to_owned()
            });
            found.extend(ids(&answer.ok()));
            let Some(next) = next else { break };
            path = next;
        }
        assert_eq!(found, all);
        assert_eq!(user.get("/api/Task").await.header("link"), None);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_query_of_a_list_is_malformed() {
    on_each_database(async |service| {
        let user = service.user();
        for query in [
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=1000000000",
            "limit=x",
            "before=x",
            "page=2",
            "limit=1&limit=2",
        ] {
            let answer = user.get(&format!("/api/Task?{query}")).await;
            assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_of_several_pages_is_one_json_document() {
    on_each_database(async |service| {
        for count in [999, 1000, 1001, 2000, 2345] {
            let owner = Uuid::new_v4();
            let mut submitted = service.submit_to_store(owner, "ECHO", count).await;
            submitted.reverse();
            let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
            let answer = user.get("/api/Task").await;
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(ids(&answer.ok()), submitted, "a list of {count} tasks");
        }
    })
    .await;
}
