//! Operations: workers register them, users list them, and the highest version is used.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::{ApiClient, ApiRequest};
use crate::kit::step_observers::LogCapture;
use crate::kit::test_backend::on_each_database;

/// The operation `image.resize`; a width below `version` breaks its schema.
fn resize(version: u32) -> Value {
    let width = json!({"type": "integer", "minimum": version});
    json!({
        "type": "image.resize", "version": version,
        "parameters": {"type": "object", "properties": {"width": width}}, "result": {},
    })
}

#[tokio::test]
async fn tasks_of_an_operation_can_be_submitted_as_soon_as_it_is_registered() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let body = json!({"type": "image.resize", "parameters": {"width": 1}, "ttl": 1000});
        assert_eq!(user.submit(body.clone()).await.problem(), (422, "unknown-type".to_owned()));
        let registered: Value = worker.put("/api/Operation/image.resize").json(resize(1)).await.ok();
        assert_eq!(registered["isolation"], "async");
        assert_eq!(registered["queue"], "default");
        user.submit(body).await.id();
        let list: Value = user.get("/api/Operation").await.ok();
        let names: Vec<&str> =
            list["operations"].as_array().unwrap().iter().map(|o| o["type"].as_str().unwrap()).collect();
        assert_eq!(names, ["BRIEF", "ECHO", "LOGIN", "image.resize"]);
    })
    .await;
}

#[tokio::test]
async fn the_highest_version_is_used_and_a_version_cannot_be_changed() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let register = |operation: Value| worker.put("/api/Operation/image.resize").json(operation);
        for version in [2, 1, 2, 3] {
            register(resize(version)).await.expect_status(200);
        }
        let answer =
            user.submit(json!({"type": "image.resize", "parameters": {"width": 2}, "ttl": 1000})).await;
        assert_eq!(answer.problem(), (422, "parameters-refused".to_owned()));
        assert!(answer.errors().contains_key("/parameters/width"));
        user.submit(json!({"type": "image.resize", "parameters": {"width": 3}, "ttl": 1000})).await.id();
        let mut other = resize(1);
        other["result"] = json!({"type": "string"});
        let answer = register(other).await;
        assert_eq!(answer.problem(), (409, "conflict".to_owned()));
        assert!(answer.text.contains("give yours a higher version"));
        let list: Value = user.get("/api/Operation").await.ok();
        assert_eq!(list["operations"][3]["version"], 3);
    })
    .await;
}

#[tokio::test]
async fn an_isolation_that_no_worker_implements_is_refused() {
    on_each_database(async |service| {
        let mut operation = resize(1);
        operation["isolation"] = json!("wasm");
        let answer = service.worker().put("/api/Operation/image.resize").json(operation).await;
        assert_eq!(answer.problem(), (422, "wrong-shape".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn an_invalid_operation_is_refused_with_a_problem_of_its_own() {
    on_each_database(async |service| {
        let worker = service.worker();
        let register =
            |operation: Value| -> ApiRequest { worker.put("/api/Operation/image.resize").json(operation) };
        let with = |name: &str, value: Value| {
            let mut operation = resize(1);
            operation[name] = value;
            operation
        };
        for (operation, slug, pointer) in [
            (with("type", json!("other")), "type-differs", "/type"),
            (with("parameters", json!({"type": "strin"})), "schema-refused", "/parameters"),
            (with("result", json!({"minimum": "x"})), "schema-refused", "/result"),
            (
                with("parameters", json!({"$ref": "http://127.0.0.1:1/schema"})),
                "schema-refused",
                "/parameters",
            ),
            (with("version", json!(0)), "version-out-of-range", "/version"),
            (with("version", json!(u32::MAX)), "version-out-of-range", "/version"),
            (with("ttl", json!({"default": 5000, "max": 100})), "ttl-bounds-crossed", "/ttl/default"),
            (with("color", json!(1)), "wrong-shape", ""),
            (with("version", json!(-1)), "wrong-shape", ""),
            (with("ttl", json!({"max": 0})), "wrong-shape", ""),
            (with("queue", json!("Upper")), "wrong-shape", ""),
            (with("isolation", json!("none")), "wrong-shape", ""),
        ] {
            let answer = register(operation.clone()).await;
            assert_eq!(answer.problem(), (422, slug.to_owned()), "{operation}");
            assert!(answer.errors().contains_key(pointer), "{operation}");
        }
        let list: Value = service.user().get("/api/Operation").await.ok();
        assert_eq!(list["operations"].as_array().unwrap().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_type_belongs_to_the_account_that_registered_it_first() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (other, admin) = (service.worker(), service.admin());
        let echo =
            |version: u32| json!({"type": "ECHO", "version": version, "parameters": false, "result": {}});
        let put = |client: &ApiClient<'_>, operation: Value| {
            client.put(&format!("/api/Operation/{}", operation["type"].as_str().unwrap())).json(operation)
        };
        put(&worker, resize(1)).await.expect_status(200);
        put(&other, resize(1)).await.expect_status(200);
        for refused in [put(&other, resize(2)), put(&worker, echo(i32::MAX.cast_unsigned()))] {
            assert_eq!(refused.await.problem(), (403, "foreign-operation".to_owned()));
        }
        user.submit_echo().await;
        put(&worker, resize(2)).await.expect_status(200);
        put(&admin, resize(3)).await.expect_status(200);
        put(&admin, echo(2)).await.expect_status(200);
        let refused = user.submit(json!({"type": "ECHO", "ttl": 1000})).await;
        assert_eq!(refused.problem(), (422, "parameters-refused".to_owned()));
        delete(&admin, "ECHO?version=2").await.expect_status(204);
        user.submit_echo().await;
    })
    .await;
}

/// Tasks of a removed type are granted as before, so nothing that was accepted is lost.
#[tokio::test]
async fn a_removed_type_takes_no_submissions_and_its_tasks_end_as_usual() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (other, admin) = (service.worker(), service.admin());
        worker.put("/api/Operation/image.resize").json(resize(1)).await.expect_status(200);
        let body = json!({"type": "image.resize", "parameters": {"width": 1}, "ttl": 60_000});
        let waiting = user.submit(body.clone()).await.id();
        assert_eq!(delete(&user, "image.resize").await.problem(), (403, "role-missing".to_owned()));
        assert_eq!(delete(&other, "image.resize").await.problem(), (403, "foreign-operation".to_owned()));
        assert_eq!(delete(&worker, "image.resize").await.problem(), (409, "operation-awaited".to_owned()));
        assert_eq!(
            delete(&admin, "image.resize?version=2").await.problem(),
            (404, "no-such-operation".to_owned())
        );
        assert_eq!(delete(&admin, "image.resize?version=x").await.problem(), (400, "malformed".to_owned()));
        delete(&admin, "image.resize").await.expect_status(204);
        assert_eq!(delete(&admin, "image.resize").await.problem(), (404, "no-such-operation".to_owned()));
        assert_eq!(user.submit(body.clone()).await.problem(), (422, "unknown-type".to_owned()));
        let list: Value = user.get("/api/Operation").await.ok();
        assert_eq!(list["operations"].as_array().unwrap().len(), 3);
        let grant = worker.claim_by_type(Uuid::new_v4(), "w", "image.resize", 1, 0).await.grants().remove(0);
        assert_eq!(grant.id.to_string(), waiting);
        assert_eq!(worker.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
        other.put("/api/Operation/image.resize").json(resize(1)).await.expect_status(200);
        delete(&other, "image.resize").await.expect_status(204);
    })
    .await;
}

fn delete(client: &ApiClient<'_>, operation: &str) -> ApiRequest {
    client.call(Method::DELETE, &format!("/api/Operation/{operation}"))
}

#[tokio::test]
async fn registrations_and_removals_are_in_the_audit_log() {
    let log = LogCapture::default();
    let _guard = log.install("info");
    on_each_database(async |service| {
        let subject = Uuid::new_v4().to_string();
        let admin = service.with_token(service.issuer.token(&subject, &["Admin"]));
        for _ in 0..2 {
            admin.put("/api/Operation/image.resize").json(resize(1)).await.expect_status(200);
        }
        delete(&admin, "image.resize").await.expect_status(204);
        let lines = log.lines_with(&subject);
        for event in ["operation_registered", "operation_removed"] {
            let found = lines.iter().filter(|line| line.contains(event) && line.contains("image.resize"));
            assert_eq!(found.count(), 1, "{event}: {lines:?}");
        }
    })
    .await;
}
