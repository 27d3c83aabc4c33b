//! The list of a caller's tasks, newest first: all of them, or a page.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::on_each_database;

fn ids(list: &Value) -> Vec<String> {
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    list["tasks"].as_array().unwrap().iter().map(id).collect()
}

/// The ids of all pages.
async fn follow_links(user: &ApiClient<'_>, mut path: String) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let answer = user.get(&path).await;
        let next = answer.header("link").map(|link| {
            let (address, relation) = link.trim_start_matches('<').split_once('>').unwrap();
            assert_eq!(relation, "; rel=\"next\"");
            address.to_owned()
        });
        found.extend(ids(&answer.ok()));
        let Some(next) = next else { return found };
        path = next;
    }
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
        assert_eq!(follow_links(&user, "/api/Task?limit=2".to_owned()).await, all);
        let oldest = follow_links(&user, "/api/Task?limit=3&order=oldest".to_owned()).await;
        assert_eq!(oldest.into_iter().rev().collect::<Vec<_>>(), all);
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
            "status=running",
            "status=",
            "type=no%20type",
            "type=NO_SUCH_TYPE",
            "createdAfter=yesterday",
            "createdAfter=2026-11-24",
            "createdBefore=",
            "order=sideways",
            "cursor=x",
            "cursor=01890a5d-ac96-774b-bcce-b302099a8057",
            "from=2026-11-24T09:30:00Z",
            "worker=w",
            "owner=01890a5d-ac96-774b-bcce-b302099a8057",
            "status=RUNNING&status=FINISHED",
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

#[tokio::test]
async fn an_unknown_value_in_the_query_of_a_list_is_named() {
    on_each_database(async |service| {
        let user = service.user();
        for (query, parts) in [
            ("status=DONE", ["status: \"DONE\" is no status", "RUNNING"]),
            ("limit=0", ["limit: a limit is a whole number", "1 to 1000"]),
            ("order=up", ["order: an order is", "`newest` or `oldest`"]),
            ("cursor=up", ["cursor: a cursor is", "Link"]),
            ("before=up", ["before: \"up\" is not", "UUID"]),
            ("limit=1&limit=2", ["limit: it occurs twice", ""]),
            ("type=ECO", ["type: there is no type ECO", "did you mean ECHO?"]),
            ("createdAfter=yesterday", ["createdAfter: \"yesterday\" is no date", "2026-11-24T09:30:00Z"]),
            ("type=no%20type", ["type", "letters, digits"]),
        ] {
            let answer = user.get(&format!("/api/Task?{query}")).await;
            let problem: Value = serde_json::from_str(&answer.text).unwrap();
            let detail = problem["detail"].as_str().unwrap();
            assert!(parts.iter().all(|part| detail.contains(part)), "{query}: {detail}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_list_may_be_of_one_status_one_type_and_a_time() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (ended, running) = (user.submit_echo().await, user.submit_echo().await);
        user.cancel(&ended).await.expect_status(200);
        worker.claim_one(&running, "w").await;
        let waiting = user.submit_echo().await;
        let list = async |query: &str| ids(&user.get(&format!("/api/Task?{query}")).await.ok());
        assert_eq!(list("status=CREATED").await, [waiting.as_str()]);
        assert_eq!(list("status=RUNNING").await, [running.as_str()]);
        assert_eq!(list("status=CANCELLED").await, [ended.as_str()]);
        assert!(list("status=FINISHED").await.is_empty());
        assert_eq!(list("type=ECHO").await, [waiting.clone(), running.clone(), ended.clone()]);
        let created = user.task(&running).await["creationDate"].as_str().unwrap().to_owned();
        assert!(list(&format!("createdAfter={created}")).await.contains(&running));
        assert_eq!(
            list(&format!("createdAfter={created}&status=RUNNING&type=ECHO")).await,
            [running.as_str()]
        );
        assert!(list("createdAfter=2100-01-01T00:00:00Z").await.is_empty());
        assert_eq!(list("createdAfter=1970-01-01T01:00:00%2B01:00").await.len(), 3);
        assert_eq!(list("createdBefore=2100-01-01T00:00:00Z&order=oldest").await, [ended, running, waiting]);
        assert!(list("createdBefore=1970-01-01T01:00:00Z").await.is_empty());
    })
    .await;
}

/// A type whose operation was removed may still have tasks.
#[tokio::test]
async fn tasks_of_a_removed_type_are_listed() {
    on_each_database(async |service| {
        let owner = Uuid::new_v4();
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        service
            .execute_sql("insert into operation_type (type, is_removed) values ('GONE', true)".to_owned())
            .await;
        let submitted = service.submit_to_store(owner, "GONE", 2).await;
        let list: Value = user.get("/api/Task?type=GONE&limit=1").await.ok();
        assert_eq!(ids(&list), submitted[1..]);
    })
    .await;
}

#[tokio::test]
async fn the_next_page_has_the_conditions_of_the_first() {
    on_each_database(async |service| {
        let user = service.user();
        let submitted = [user.submit_echo().await, user.submit_echo().await];
        let query = "type=ECHO&limit=1&createdAfter=2020-01-01T00:00:00%2B01:00&status=CREATED";
        let first = user.get(&format!("/api/Task?cursor=ffffffffffff7fffbfffffffffffffff&{query}")).await;
        let cursor = submitted[1].replace('-', "");
        let next = format!("</api/Task?{query}&cursor={cursor}>; rel=\"next\"");
        assert_eq!(first.header("link"), Some(next.as_str()));
        let path = next.trim_start_matches('<').split_once('>').unwrap().0.to_owned();
        assert_eq!(ids(&user.get(&path).await.ok()), submitted[..1]);
    })
    .await;
}

/// Of several pages the answer is a stream; it has the conditions on every page.
#[tokio::test]
async fn a_streamed_list_has_its_conditions_on_every_page() {
    on_each_database(async |service| {
        let owner = Uuid::new_v4();
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        let mut echoes = Vec::new();
        for _ in 0..3 {
            echoes.extend(service.submit_to_store(owner, "ECHO", 500).await);
            service.submit_to_store(owner, "SLEEP", 500).await;
        }
        echoes.reverse();
        assert_eq!(ids(&user.get("/api/Task?type=ECHO&status=CREATED").await.ok()), echoes);
    })
    .await;
}
