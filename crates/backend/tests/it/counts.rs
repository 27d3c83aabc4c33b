//! The numbers of a caller's tasks, by status and type.

use serde_json::{Value, json};

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn the_counts_are_of_the_callers_own_tasks_by_status_and_type() {
    on_each_database(async |service| {
        let (user, other_user, worker) = (service.user(), service.user(), service.worker());
        let empty: Value = user.get("/api/Task/counts").await.ok();
        let statuses = |created, running, finished, cancelled| {
            let counts = [
                ("CREATED", created),
                ("RUNNING", running),
                ("FINISHED", finished),
                ("CANCELLED", cancelled),
            ];
            json!(counts.map(|(status, count)| json!({"status": status, "count": count, "isExact": true})))
        };
        let expected = json!({"statuses": statuses(0, 0, 0, 0), "types": [], "limit": 100_000});
        assert_eq!(empty, expected);
        let (running, finished, cancelled) =
            (user.submit_echo().await, user.submit_echo().await, user.submit_echo().await);
        worker.claim_one(&running, "w").await;
        let grant = worker.claim_one(&finished, "w").await;
        worker.report(&grant, json!({"result": 1})).await;
        user.cancel(&cancelled).await.expect_status(200);
        user.submit_echo().await;
        user.submit(json!({"type": "BRIEF"})).await.id();
        other_user.submit_echo().await;
        let counts: Value = user.get("/api/Task/counts").await.ok();
        let types = [
            ("BRIEF", "CREATED"),
            ("ECHO", "CREATED"),
            ("ECHO", "RUNNING"),
            ("ECHO", "FINISHED"),
            ("ECHO", "CANCELLED"),
        ];
        let types = types.map(|(name, status)| json!({"type": name, "status": status, "count": 1}));
        let expected = json!({"statuses": statuses(2, 1, 1, 1), "types": types, "limit": 100_000});
        assert_eq!(counts, expected);
        let of_all: Value = service.admin().get("/api/Admin/Task/counts").await.ok();
        assert_eq!(of_all["statuses"], statuses(3, 1, 1, 1));
    })
    .await;
}
