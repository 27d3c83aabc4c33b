//! Tickets of types that a worker does not run: which waiting workers are woken when it declines them.

use serde_json::json;
use uuid::Uuid;

use crate::kit::step_observers::ClaimQueries;
use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn declined_tasks_wake_the_workers_that_wait_for_their_types_and_no_others() {
    let queries = ClaimQueries::new();
    let _guard = metrics::set_default_local_recorder(&queries);
    on_each_database(async |service| {
        let worker = service.worker();
        let owner = Uuid::new_v4();
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        let decline = async |task_type: &str| {
            let declined = json!([{"id": Uuid::new_v4(), "type": task_type}]);
            let body =
                json!({"claim": Uuid::new_v4(), "worker": "w", "instance": worker.instance, "wanted": {"ids": []}, "declined": declined});
            worker.post("/api/Task/request").json(body).await.expect_status(200);
        };
        service.peer_connection_is_up().await;
        let before = queries.finished();
        // It waits for tasks of an age that none reaches while it waits: a declined task is granted at any age.
        let waits_for_echo = worker.claim_older(60_000, "echo", 30_000).into_future();
        let waits_for_brief = worker.claim_by_type(Uuid::new_v4(), "brief", "BRIEF", 1, 30_000).into_future();
        let declines = async {
            // Requests for different types share no query: after two of them both workers wait.
            queries.more_than(before + 1).await;
            let echo = service.submit_to_store(owner, "ECHO", 1).await.remove(0);
            service.submit_to_store(owner, "BRIEF", 1).await;
            decline("BRIEF").await;
            // Once these are answered, the requests that the decline has woken have been served.
            for _ in 0..2 {
                service.submit_to_store(owner, "BRIEF", 1).await;
                let grants = worker.claim_by_type(Uuid::new_v4(), "brief", "BRIEF", 1, 30_000).await.grants();
                assert_eq!(grants.len(), 1);
            }
            assert_eq!(user.task(&echo).await["status"], "CREATED", "no task of its type was declined");
            decline("ECHO").await;
        };
        let (echo, brief, ()) = tokio::join!(waits_for_echo, waits_for_brief, declines);
        assert_eq!((echo.grants().len(), brief.grants().len()), (1, 1));
    })
    .await;
}
