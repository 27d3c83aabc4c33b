//! The published contract is what the code says.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::service::each;

fn document() -> Value {
    serde_json::to_value(backend::openapi()).unwrap()
}

/// Every operation of the document: its path, its method, and the rest.
fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((path.clone(), method.to_uppercase().parse().unwrap(), operation.clone()));
        }
    }
    operations
}

#[test]
#[expect(clippy::disallowed_methods, reason = "golden files are rewritten on request")]
fn the_published_document_is_the_contract() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let contract = format!("{}\n", serde_json::to_string_pretty(&backend::openapi()).unwrap());
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(file, &contract).unwrap();
    }
    let published = std::fs::read_to_string(file).unwrap_or_default();
    assert!(published == contract, "`make golden` rewrites docs/openapi.json");
}

#[tokio::test]
async fn every_documented_operation_is_there_and_none_but_health_is_open() {
    each(async |service| {
        for (path, method, operation) in operations(&document()) {
            let address =
                path.replace("{id}", "0191e9a0-0000-7000-8000-000000000000").replace("{type}", "ECHO");
            let answer = service.nobody().call(method.clone(), &address).await;
            let open = path.starts_with("/health/");
            assert_eq!(answer.status, if open { 200 } else { 401 }, "{method} {path}");
            let expected = if open { json!(null) } else { json!([{"bearer": []}]) };
            assert_eq!(operation["security"], expected, "{method} {path}");
        }
    })
    .await;
}

#[test]
fn the_document_names_every_door() {
    let mut doors: Vec<String> =
        operations(&document()).iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    doors.sort();
    assert_eq!(
        doors,
        [
            "GET /api/Operation",
            "GET /api/Task",
            "GET /api/Task/{id}",
            "GET /api/Task/{id}/result",
            "GET /api/Worker",
            "GET /health/live",
            "GET /health/ready",
            "PATCH /api/Task/request/{id}",
            "POST /api/Task",
            "POST /api/Task/request",
            "POST /api/Task/results",
            "POST /api/Task/{id}/cancel",
            "POST /api/Worker/heartbeat",
            "PUT /api/Operation/{type}",
        ]
    );
}

#[test]
fn every_operation_has_an_id_of_its_own() {
    let document = document();
    let operations = operations(&document);
    let mut ids: Vec<&str> =
        operations.iter().map(|(_, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        [
            "cancelTask",
            "checkLiveness",
            "checkReadiness",
            "claimTask",
            "claimTasks",
            "getTask",
            "getTaskResult",
            "listOperations",
            "listTasks",
            "listWorkers",
            "registerOperation",
            "reportResults",
            "sendHeartbeat",
            "submitTask",
        ]
    );
}

#[test]
fn a_bearer_token_opens_the_doors_and_refusals_are_problems() {
    let document = document();
    let bearer = &document["components"]["securitySchemes"]["bearer"];
    assert_eq!((&bearer["type"], &bearer["scheme"]), (&json!("http"), &json!("bearer")));
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let refusal = !status.starts_with('2');
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem == "#/components/schemas/Problem", refusal, "{method} {path} {status}");
        }
    }
}

#[test]
fn a_submission_is_answered_by_the_id_as_a_string_or_by_the_task() {
    let document = document();
    let created = &document["paths"]["/api/Task"]["post"]["responses"]["201"];
    assert!(created["headers"]["Location"].is_object());
    let schema = &created["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(schema, "#/components/schemas/SubmitTaskResponse");
    let either = document["components"]["schemas"]["SubmitTaskResponse"]["oneOf"].as_array().unwrap();
    assert_eq!(either.len(), 2);
    let id = &document["components"]["schemas"]["TaskId"];
    assert_eq!((&id["type"], &id["format"]), (&json!("string"), &json!("uuid")));
}

#[test]
fn everything_that_the_document_points_to_is_in_it() {
    let document = document();
    let text = document.to_string();
    let targets = text.split(r##""$ref":"#"##).skip(1).map(|rest| rest.split('"').next().unwrap());
    for target in targets {
        assert!(document.pointer(target).is_some(), "{target} is not there");
    }
}

#[test]
fn every_parameter_says_where_it_stands() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let none = Vec::new();
        for parameter in operation["parameters"].as_array().unwrap_or(&none) {
            let name = parameter["name"].as_str().unwrap();
            let in_path = path.contains(&format!("{{{name}}}"));
            assert_eq!(parameter["in"] == "path", in_path, "{method} {path} {name}");
            let required = in_path || name == "workerName";
            assert_eq!(parameter["required"], required, "{method} {path} {name}");
        }
    }
}
