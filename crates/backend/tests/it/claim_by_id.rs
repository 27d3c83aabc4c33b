//! Claims of certain tasks: by the PATCH of the original API, or by their ids under a claim id.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn a_claim_by_patch_is_answered_with_the_workers_name_and_may_be_repeated() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        for _ in 0..2 {
            assert_eq!(worker.claim_by_patch(&id, "worker%207").await.ok::<String>(), "worker 7");
        }
        let task = user.task(&id).await;
        assert_eq!(
            (&task["status"], &task["workerName"], &task["attempts"]),
            (&json!("RUNNING"), &json!("worker 7"), &json!(1))
        );
        assert_eq!(worker.claim_by_patch(&id, "another").await.problem(), (409, "not-granted".to_owned()));
        user.cancel(&id).await.expect_status(200);
        assert_eq!(
            worker.claim_by_patch(&id, "worker%207").await.problem(),
            (409, "not-granted".to_owned()),
            "the task has ended"
        );
        assert_eq!(
            worker.claim_by_patch(&Uuid::new_v4().to_string(), "w").await.problem(),
            (404, "no-such-task".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn a_claim_by_patch_without_a_valid_worker_name_is_malformed() {
    on_each_database(async |service| {
        let id = service.user().submit_echo().await;
        let long = format!("?workerName={}", "x".repeat(5000));
        for query in [
            "",
            "?",
            "?workerName=",
            "?workerName=%0A",
            "?workerName=%FF",
            "?workerName=a&workerName=b",
            &long,
        ] {
            let answer =
                service.worker().call(Method::PATCH, &format!("/api/Task/request/{id}{query}")).await;
            assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_claim_by_patch_is_answered_with_the_grant_if_that_is_preferred() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let mut grants = Vec::new();
        for _ in 0..2 {
            let answer = worker.claim_by_patch(&id, "w").prefer("return=representation, wait=9").await;
            assert_eq!(answer.header("preference-applied"), Some("return=representation"));
            grants.push(answer.grants().remove(0));
        }
        assert_eq!(grants[0].claim, grants[1].claim);
        assert!(grants[1].remaining_ms <= grants[0].remaining_ms && grants[0].remaining_ms <= 60_000);
        assert_eq!(worker.report(&grants[1], json!({"result": 1})).await, json!({"became": "finished"}));
        assert_eq!(user.task(&id).await["status"], "FINISHED");
    })
    .await;
}

#[tokio::test]
async fn the_worker_api_is_open_to_workers_and_admins_only() {
    on_each_database(async |service| {
        let (user, admin) = (service.user(), service.admin());
        let id = user.submit_echo().await;
        for (method, path) in [
            (Method::PATCH, &*format!("/api/Task/request/{id}?workerName=w")),
            (Method::POST, "/api/Task/request"),
            (Method::POST, "/api/Task/results"),
            (Method::POST, "/api/Worker/heartbeat"),
            (Method::PUT, "/api/Operation/ECHO"),
        ] {
            assert_eq!(
                user.call(method.clone(), path).await.problem(),
                (403, "role-missing".to_owned()),
                "{path}"
            );
            assert_eq!(
                service.anonymous().call(method, path).await.problem(),
                (401, "unauthenticated".to_owned()),
                "{path}"
            );
        }
        assert_eq!(user.task(&id).await["status"], "CREATED");
        admin.claim_by_patch(&id, "w").await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_concurrent_claims_of_a_task_one_is_granted() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let claims = (0..100).map(|n| worker.claim_by_patch(&id, &format!("w{n}")).into_future());
        let answers = futures_util::future::join_all(claims).await;
        let granted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(granted.len(), 1);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 409)));
        let task = user.task(&id).await;
        assert_eq!(granted[0].read::<Value>(), task["workerName"]);
        assert_eq!(task["attempts"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_claim_of_several_tasks_is_granted_those_that_wait() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (first, second, taken) =
            (user.submit_echo().await, user.submit_echo().await, user.submit_echo().await);
        worker.claim_one(&taken, "another").await;
        let claim = Uuid::new_v4();
        let absent = Uuid::new_v4().to_string();
        let wanted = [&*second, &first, &first, &taken, &absent];
        let grants = worker.claim_by_ids(claim, "w", &wanted).await.grants();
        let mut ids: Vec<String> = grants.iter().map(|grant| grant.id.to_string()).collect();
        ids.sort();
        assert_eq!(ids, [first.clone(), second.clone()]);
        assert!(grants.iter().all(|grant| grant.claim.0 == claim && grant.attempt == 1));
        let repeated = worker.claim_by_ids(claim, "w", &wanted).await.grants();
        assert_eq!(repeated.len(), 2, "the same claim id, the same grants");
        assert!(repeated.iter().all(|grant| grant.attempt == 1));
        assert!(
            worker.claim_by_ids(Uuid::new_v4(), "w", &wanted).await.grants().is_empty(),
            "another claim id is granted nothing of it"
        );
    })
    .await;
}

#[tokio::test]
async fn an_invalid_claim_request_is_refused_with_a_problem_of_its_own() {
    on_each_database(async |service| {
        let worker = service.worker();
        let many: Vec<Uuid> = (0..1001).map(|_| Uuid::new_v4()).collect();
        let pull = |types: Value, slots: Value| json!({"pull": {"types": types, "slots": slots}});
        for (wanted, slug) in [
            (json!({"ids": []}), "ids-out-of-range"),
            (json!({"ids": many}), "ids-out-of-range"),
            (json!({"ids": ["x"]}), "wrong-shape"),
            (json!({}), "wrong-shape"),
            (json!({"ids": [], "pull": {}}), "wrong-shape"),
            (pull(json!([]), json!(1)), "pull-out-of-range"),
            (pull(json!(["ECHO"]), json!(0)), "pull-out-of-range"),
            (pull(json!(["ECHO"]), json!(1001)), "pull-out-of-range"),
            (json!({"pull": {"types": ["ECHO"], "slots": 1, "minAgeMs": 60_001}}), "min-age-out-of-range"),
            (pull(json!(["two words"]), json!(1)), "wrong-shape"),
            (pull(json!(["ECHO"]), json!(-1)), "wrong-shape"),
        ] {
            let request = json!({"claim": Uuid::new_v4(), "worker": "w", "instance": worker.instance, "wanted": wanted});
            let answer = worker.post("/api/Task/request").json(request.clone()).await;
            assert_eq!(answer.problem(), (422, slug.to_owned()), "{request}");
            if slug == "min-age-out-of-range" {
                assert!(answer.errors().contains_key("/wanted/pull/minAgeMs"), "{}", answer.text);
            }
        }
        let unknown_field =
            json!({"claim": Uuid::new_v4(), "worker": "w", "instance": worker.instance, "wanted": {"ids": [Uuid::new_v4()]}, "wait": 1});
        assert_eq!(worker.post("/api/Task/request").json(unknown_field).await.problem().0, 422);
    })
    .await;
}

#[tokio::test]
async fn a_worker_may_decline_tickets_with_a_claim_or_without_one() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (wanted, declined) = (user.submit_echo().await, user.submit_echo().await);
        let body = |ids: &[&str], declined: &[&str]| {
            let declined: Vec<_> = declined.iter().map(|id| json!({"id": id, "type": "ECHO"})).collect();
            json!({"claim": Uuid::new_v4(), "worker": "w", "instance": worker.instance, "wanted": {"ids": ids}, "declined": declined})
        };
        let request = |body| worker.post("/api/Task/request").json(body);
        assert_eq!(request(body(&[&wanted], &[&declined])).await.grants().len(), 1);
        assert!(request(body(&[], &[&declined])).await.grants().is_empty());
        assert_eq!(user.task(&declined).await["status"], "CREATED");
        let unknown = Uuid::new_v4().to_string();
        assert!(
            request(body(&[], &[&unknown])).await.grants().is_empty(),
            "a declined task may have been deleted"
        );
        assert_eq!(request(body(&[], &[])).await.problem(), (422, "ids-out-of-range".to_owned()));
        let many: Vec<&str> = vec![&unknown; 1001];
        assert_eq!(request(body(&[], &many)).await.problem(), (422, "too-many-declined".to_owned()));
    })
    .await;
}
