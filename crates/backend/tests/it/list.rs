//! The list of a caller's tasks: all of them, whole, the newest first; or a page.

use domain::{RawJson, Submission, TaskId, Ttl};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::service::{WorkerCaller, each};

fn ids(list: &Value) -> Vec<String> {
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    list["tasks"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn a_list_has_the_newest_first_and_says_how_each_stands() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let empty: Value = ann.get("/api/Task/").await.ok();
        assert_eq!(empty, json!({"tasks": []}));
        let (first, second, third) = (ann.created().await, ann.created().await, ann.created().await);
        rig.granted(&first, "w").await;
        ann.cancel(&second).await.is(200);
        let list: Value = ann.get("/api/Task/").await.ok();
        assert_eq!(
            list,
            json!({"tasks": [
                {"id": third, "type": "ECHO", "status": "CREATED"},
                {"id": second, "type": "ECHO", "status": "CANCELLED"},
                {"id": first, "type": "ECHO", "status": "RUNNING"},
            ]})
        );
    })
    .await;
}

#[tokio::test]
async fn a_page_begins_after_the_last_id_of_the_page_before() {
    each(async |service| {
        let ann = service.user();
        let mut all = Vec::new();
        for _ in 0..5 {
            all.insert(0, ann.created().await);
        }
        let page = async |query: String| ids(&ann.get(&format!("/api/Task?{query}")).await.ok());
        assert_eq!(page("limit=2".to_owned()).await, all[..2]);
        assert_eq!(page(format!("limit=2&before={}", all[1])).await, all[2..4]);
        assert_eq!(page(format!("before={}", all[3])).await, all[4..]);
        assert!(page(format!("before={}", all[4])).await.is_empty());
        assert_eq!(page("limit=1000".to_owned()).await, all);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_query_is_refused() {
    each(async |service| {
        let ann = service.user();
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
            let answer = ann.get(&format!("/api/Task?{query}")).await;
            assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_list_is_one_whole_document() {
    each(async |service| {
        for count in [999, 1000, 1001, 2000, 2345] {
            let owner = Uuid::new_v4();
            let mut submitted = fill(service, owner, count).await;
            submitted.reverse();
            let ann = service.bearer(service.issuer.token(&owner.to_string(), &["User"]));
            let answer = ann.get("/api/Task").await;
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(ids(&answer.ok()), submitted, "of {count} tasks");
        }
    })
    .await;
}

/// Submits so many tasks in the store's own way; their ids.
pub(crate) async fn fill(service: &WorkerCaller, owner: Uuid, count: usize) -> Vec<String> {
    let submission = || Submission {
        id: service.store.new_task_id(),
        owner: domain::OwnerId(owner),
        name: "ECHO".parse().unwrap(),
        queue: "default".parse().unwrap(),
        parameters: None::<RawJson>,
        ttl: Ttl::DEFAULT_MAX,
        start_within: Ttl::DEFAULT_MAX,
        trace: None,
    };
    let batch: Vec<Submission> = (0..count).map(|_| submission()).collect();
    service.store.submit(&batch).await.unwrap();
    batch.iter().map(|task| task.id).map(|id: TaskId| id.to_string()).collect()
}
