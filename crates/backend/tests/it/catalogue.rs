//! Operations: workers register them, users list them, and the highest version is used.

use serde_json::{Value, json};

use crate::kit::openapi_checked_client::ApiRequest;
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
        operation["isolation"] = json!("process");
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
