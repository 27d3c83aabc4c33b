//! Reports of a worker: each one of a batch is answered with how it was settled.

use axum::http::Method;
use domain::Grant;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::{on_each_database, on_each_database_with};

#[tokio::test]
async fn the_reports_of_a_batch_are_answered_in_their_order() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let mut grants = Vec::new();
        for _ in 0..5 {
            grants.push(worker.claim_one(&user.submit_echo().await, "w").await);
        }
        let [done, failed, released, cancelled, stale] = &grants[..] else { panic!() };
        user.cancel(&cancelled.id.to_string()).await.expect_status(200);
        let foreign = Grant { claim: domain::ClaimId::random(), ..stale.clone() };
        let unknown = Grant { id: domain::TaskId(Uuid::new_v4()), ..stale.clone() };
        let mistyped = Grant { type_name: "SLEEP".parse().unwrap(), ..stale.clone() };
        let batch = [
            (done, json!({"result": [1]})),
            (failed, json!({"error": "no"})),
            (released, json!("released")),
            (cancelled, json!({"result": 1})),
            (&foreign, json!({"result": "mine"})),
            (&unknown, json!({"result": 1})),
            (&mistyped, json!({"result": 1})),
            (&mistyped, json!("released")),
        ];
        let settled: Value = worker.report_all("w", &batch).await.ok();
        assert_eq!(
            settled,
            json!([
                {"became": "finished"}, {"became": "cancelled", "reason": "OPERATION_FAILED"}, {"became": "released"},
                {"became": "cancelled", "reason": "REQUESTED"}, {"became": "stale"}, {"became": "unknown"},
                {"became": "stale"}, {"became": "stale"},
            ])
        );
        let repeated: Value = worker.report_all("w", &batch[..2]).await.ok();
        assert_eq!(repeated, json!([{"became": "finished"}, {"became": "cancelled", "reason": "OPERATION_FAILED"}]));
        assert_eq!(user.task(&stale.id.to_string()).await["status"], "RUNNING");
    })
    .await;
}

#[tokio::test]
async fn a_stale_report_in_the_same_batch_does_not_affect_the_right_one() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let grant = worker.claim_one(&user.submit_echo().await, "w").await;
        let foreign = Grant { claim: domain::ClaimId::random(), ..grant.clone() };
        let batch = [
            (&foreign, json!({"result": 1})),
            (&grant, json!({"result": 2})),
            (&foreign, json!({"error": "3"})),
        ];
        let settled: Vec<Value> = worker.report_all("w", &batch).await.ok();
        assert_eq!(settled[1], json!({"became": "finished"}));
        assert_eq!(user.result(&grant.id.to_string()).await.ok::<Value>(), json!({"result": 2}));
    })
    .await;
}

#[tokio::test]
async fn a_report_that_the_database_refuses_does_not_affect_the_others_of_its_batch() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let mut grants = Vec::new();
        for _ in 0..8 {
            grants.push(worker.claim_one(&user.submit_echo().await, "w").await);
        }
        let refused = grants[3].id.to_string();
        service.execute_sql(refuse_outcome(service.is_postgres(), &refused)).await;
        let reports: Vec<(&Grant, Value)> =
            grants.iter().map(|grant| (grant, json!({"result": 1}))).collect();
        assert_eq!(worker.report_all("w", &reports).await.status, 500);
        for grant in &grants {
            let id = grant.id.to_string();
            let expected = if id == refused { "RUNNING" } else { "FINISHED" };
            assert_eq!(user.task(&id).await["status"], expected);
        }
        let settled: Vec<Value> = worker.report_all("w", &reports[4..]).await.ok();
        assert_eq!(settled, vec![json!({"became": "finished"}); 4], "a repeated report is answered alike");
    })
    .await;
}

#[tokio::test]
async fn a_report_that_cannot_be_read_does_not_affect_the_others_of_its_batch() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let mut reports = Vec::new();
        let mut ids = Vec::new();
        for reported in [
            r#"{"result": [1]}"#,
            r#"{"error": "cut \ud83d, NUL \u0000"}"#,
            r#"{"result": "cut \ud83d"}"#,
            r#"{"result": {"a": 1, "a": 2}}"#,
            r#"{"result": 1, "colour": 2}"#,
            r#""released""#,
        ] {
            let grant = worker.claim_one(&user.submit_echo().await, "w").await;
            let (id, attempt, claim) = (grant.id, grant.attempt, grant.claim);
            reports.push(format!(
                r#"{{"id": "{id}", "type": "ECHO", "attempt": {attempt}, "claim": "{claim}", "reported": {reported}}}"#
            ));
            ids.push(id.to_string());
        }
        reports.push("7".to_owned());
        let body = format!(r#"{{"worker": "w", "reports": [{}]}}"#, reports.join(", "));
        let settled: Vec<Value> = worker.post("/api/Task/results").body(body).await.ok();
        let became: Vec<&str> = settled.iter().map(|answer| answer["became"].as_str().unwrap()).collect();
        let failed = "cancelled";
        assert_eq!(became, ["finished", failed, failed, failed, "invalid", "released", "invalid"]);
        assert!(
            settled[6]["detail"].as_str().unwrap().starts_with("invalid type: integer `7`"),
            "{settled:?}"
        );
        assert_eq!(user.task(&ids[1]).await["error"], "cut \u{fffd}, NUL \u{fffd}");
        for (id, cause) in [(&ids[2], "hex escape"), (&ids[3], "\"a\" occurs twice")] {
            let task = user.task(id).await;
            let error = task["error"].as_str().unwrap();
            assert!(error.starts_with("RESULT_INVALID: the result cannot be read: "), "{error}");
            assert!(task["reason"] == "OPERATION_FAILED" && error.contains(cause), "{error}");
        }
        assert_eq!(user.task(&ids[4]).await["status"], "RUNNING");
    })
    .await;
}

#[tokio::test]
async fn copies_of_a_report_in_one_request_have_the_same_answer() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let [first, second] = [user.submit_echo().await, user.submit_echo().await];
        let (first, second) = (worker.claim_one(&first, "w").await, worker.claim_one(&second, "w").await);
        let report = |grant: &Grant, reported: Value| {
            json!({"id": grant.id, "type": "ECHO", "attempt": grant.attempt, "claim": grant.claim, "reported": reported})
        };
        let mut reports = vec![report(&first, json!({"result": 1})); 999];
        reports.insert(1, report(&second, json!({"error": "no"})));
        let settled: Vec<Value> =
            worker.post("/api/Task/results").json(json!({"worker": "w", "reports": reports})).await.ok();
        let (failed, finished): (Vec<_>, Vec<_>) =
            settled.iter().enumerate().partition(|(_, answer)| answer["became"] == "cancelled");
        assert_eq!((failed.len(), failed[0].0, finished.len()), (1, 1, 999));
        assert!(finished.iter().all(|(_, answer)| answer["became"] == "finished"), "{settled:?}");
        assert_eq!(user.task(&first.id.to_string()).await["status"], "FINISHED");
    })
    .await;
}

/// While a new version of an operation is rolled out, workers of the older ones still run.
#[tokio::test]
async fn a_result_that_no_registered_version_allows_is_a_failure_of_its_task() {
    on_each_database(async |service| {
        let (user, worker, admin) = (service.user(), service.worker(), service.admin());
        let report = async |result: Value| {
            let id = user.submit(json!({"type": "MEASURE", "ttl": 60_000})).await.id();
            let grant = worker.claim_one(&id, "w").await;
            worker.report(&grant, json!({"result": result})).await;
            let task = user.task(&id).await;
            (
                task["status"].as_str().unwrap().to_owned(),
                task["error"].as_str().unwrap_or_default().to_owned(),
            )
        };
        let register = async |version: u32, result: Value| {
            let operation =
                json!({"type": "MEASURE", "version": version, "parameters": {}, "result": result});
            worker.put("/api/Operation/MEASURE").json(operation).await.expect_status(200);
        };
        let finished = ("FINISHED".to_owned(), String::new());
        let refused = |cause: &str| ("CANCELLED".to_owned(), format!("RESULT_INVALID: {cause}"));
        register(1, json!({"type": "object", "properties": {"cm": {"type": "number"}}, "required": ["cm"]}))
            .await;
        assert_eq!(report(json!({"cm": 1.5})).await, finished);
        assert_eq!(report(json!({"cm": "long"})).await, refused("/cm: \"long\" is not of type \"number\""));
        assert_eq!(report(json!(null)).await, refused("null is not of type \"object\""));
        register(2, json!({"type": "integer"})).await;
        assert_eq!(report(json!(15)).await, finished);
        assert_eq!(report(json!({"cm": 1.5})).await, finished, "version 1 allows it");
        assert_eq!(report(json!("long")).await, refused("\"long\" is not of type \"integer\""));

        // A removed operation has no schema any more.
        let id = user.submit(json!({"type": "MEASURE", "ttl": 60_000})).await.id();
        let grant = worker.claim_one(&id, "w").await;
        admin.call(Method::DELETE, "/api/Operation/MEASURE").await.expect_status(204);
        assert_eq!(worker.report(&grant, json!({"result": "long"})).await["became"], "finished");
    })
    .await;
}

/// The statement after which the database refuses the outcome of one task.
fn refuse_outcome(on_postgres: bool, id: &str) -> String {
    if on_postgres {
        format!("alter table outcome add constraint refused check (id <> '{id}')")
    } else {
        let id = id.replace('-', "");
        format!(
            "create trigger refused before insert on outcome when new.id = x'{id}' begin select raise(abort, 'refused'); end"
        )
    }
}

#[tokio::test]
async fn a_late_report_is_refused_with_its_lateness() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit(json!({"type": "ECHO", "ttl": 50})).await.id();
        let grant = worker.claim_one(&id, "w").await;
        assert_eq!(user.wait_for_end(&id).await["reason"], "TTL_EXPIRED");
        let settled = worker.report(&grant, json!({"result": 1})).await;
        assert_eq!(settled["became"], "late");
        assert!(settled["lateByMs"].as_u64().unwrap() >= 1, "{settled}");
        assert_eq!(user.result(&id).await.problem(), (404, "no-result".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_the_task_with_an_error_that_says_so() {
    on_each_database_with(
        |settings| settings.max_result = 1000,
        async |service| {
            let (user, worker) = (service.user(), service.worker());
            let fits = worker.claim_one(&user.submit_echo().await, "w").await;
            let settled = worker.report(&fits, json!({"result": "x".repeat(998)})).await;
            assert_eq!(settled, json!({"became": "finished"}));
            let grant = worker.claim_one(&user.submit_echo().await, "w").await;
            let settled = worker.report(&grant, json!({"result": "x".repeat(999)})).await;
            assert_eq!(settled, json!({"became": "cancelled", "reason": "OPERATION_FAILED"}));
            let task = user.task(&grant.id.to_string()).await;
            assert!(
                task["error"].as_str().unwrap().starts_with("RESULT_TOO_LARGE: the result has 1001 bytes"),
                "{task}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_long_error_is_truncated_between_two_characters() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let grant = worker.claim_one(&user.submit_echo().await, "w").await;
        worker.report(&grant, json!({"error": format!("x{}", "ä".repeat(20_000))})).await;
        let task = user.task(&grant.id.to_string()).await;
        let error = task["error"].as_str().unwrap();
        assert_eq!(error.len(), 16 * 1024 - 1);
        assert!(error.ends_with('ä'));
    })
    .await;
}

#[tokio::test]
async fn a_batch_holds_at_most_1000_reports_and_may_be_empty() {
    on_each_database(async |service| {
        let worker = service.worker();
        assert_eq!(worker.report_all("w", &[]).await.ok::<Value>(), json!([]));
        let report =
            json!({"id": Uuid::new_v4(), "type": "ECHO", "attempt": 1, "claim": Uuid::new_v4(), "reported": "released"});
        let body = json!({"worker": "w", "reports": vec![report; 1001]});
        assert_eq!(
            worker.post("/api/Task/results").json(body).await.problem(),
            (422, "too-many-reports".to_owned())
        );
    })
    .await;
}
