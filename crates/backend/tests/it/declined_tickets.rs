//! Tickets of types that a worker does not run: who is woken when it declines them.

use domain::{OwnerId, Submission, Ttl};
use serde_json::json;
use uuid::Uuid;

use crate::kit::service::{WorkerCaller, each};

#[tokio::test]
async fn declined_tasks_wake_the_workers_that_wait_for_their_types_and_no_others() {
    each(async |service| {
        let rig = service.worker();
        let owner = Uuid::new_v4();
        let ann = service.bearer(service.issuer.token(&owner.to_string(), &["User"]));
        let decline = async |kind: &str| {
            let declined = json!([{"id": Uuid::new_v4(), "type": kind}]);
            let body =
                json!({"claim": Uuid::new_v4(), "worker": "w", "wanted": {"ids": []}, "declined": declined});
            rig.post("/api/Task/request").json(body).await.is(200);
        };
        let waits_for_echo = rig.pull(Uuid::new_v4(), "echo", "ECHO", 1, 30_000).into_future();
        let waits_for_brief = rig.pull(Uuid::new_v4(), "brief", "BRIEF", 1, 30_000).into_future();
        let declines = async {
            // Meanwhile both workers begin to wait.
            for _ in 0..20 {
                rig.get("/api/Worker").await.is(200);
            }
            let echo = store_without_notification(service, owner, "ECHO").await;
            store_without_notification(service, owner, "BRIEF").await;
            decline("BRIEF").await;
            // When these are answered, whoever the decline has woken was served.
            for _ in 0..2 {
                store_without_notification(service, owner, "BRIEF").await;
                let grants = rig.pull(Uuid::new_v4(), "brief", "BRIEF", 1, 30_000).await.grants();
                assert_eq!(grants.len(), 1);
            }
            assert_eq!(ann.task(&echo).await["status"], "CREATED", "nobody declined a task of its type");
            decline("ECHO").await;
        };
        let (echo, brief, ()) = tokio::join!(waits_for_echo, waits_for_brief, declines);
        assert_eq!((echo.grants().len(), brief.grants().len()), (1, 1));
    })
    .await;
}

/// Stores a task so that no waiting worker is woken; its id.
async fn store_without_notification(service: &WorkerCaller, owner: Uuid, kind: &str) -> String {
    let task = Submission {
        id: service.store.new_task_id(),
        owner: OwnerId(owner),
        name: kind.parse().unwrap(),
        queue: "default".parse().unwrap(),
        parameters: None,
        ttl: Ttl::DEFAULT_MAX,
        start_within: Ttl::DEFAULT_MAX,
        trace: None,
    };
    let id = task.id.to_string();
    service.store.submit(&[task]).await.unwrap();
    id
}
