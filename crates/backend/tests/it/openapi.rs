//! The published OpenAPI document is the one that the code describes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::test_backend::on_each_database;

fn document() -> Value {
    serde_json::to_value(backend::openapi()).unwrap()
}

/// The operations of the document: path, method, description.
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
fn the_published_document_is_the_one_of_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&backend::openapi()).unwrap());
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(file, &generated).unwrap();
    }
    let published = std::fs::read_to_string(file).unwrap_or_default();
    assert!(published == generated, "`make golden` rewrites docs/openapi.json");
}

#[tokio::test]
async fn every_documented_operation_exists_and_only_health_is_open_to_anonymous_requests() {
    on_each_database(async |service| {
        for (path, method, operation) in operations(&document()) {
            let path_with_ids = path
                .replace("{id}", "0191e9a0-0000-7000-8000-000000000000")
                .replace("{type}", "ECHO")
                .replace("{name}", "nightly")
                .replace("{slug}", "no-such-task");
            let answer = service.anonymous().call(method.clone(), &path_with_ids).await;
            let is_open = path.starts_with("/health/") || path.starts_with("/errors");
            assert_eq!(answer.status, if is_open { 200 } else { 401 }, "{method} {path}");
            let security = operation["security"].as_array().unwrap();
            assert_eq!(security.contains(&json!({})), is_open, "{method} {path}");
        }
    })
    .await;
}

#[test]
fn the_document_lists_every_route() {
    let mut routes: Vec<String> =
        operations(&document()).iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    routes.sort();
    assert_eq!(
        routes,
        [
            "DELETE /api/Operation/{type}",
            "DELETE /api/Schedule/{name}",
            "GET /api/Admin/Task",
            "GET /api/Admin/Task/counts",
            "GET /api/Admin/Task/events",
            "GET /api/Admin/Task/{id}",
            "GET /api/Operation",
            "GET /api/Schedule",
            "GET /api/Schedule/{name}",
            "GET /api/Task",
            "GET /api/Task/counts",
            "GET /api/Task/events",
            "GET /api/Task/{id}",
            "GET /api/Task/{id}/attempts",
            "GET /api/Task/{id}/events",
            "GET /api/Task/{id}/result",
            "GET /api/Worker",
            "GET /errors",
            "GET /errors/{slug}",
            "GET /health/live",
            "GET /health/ready",
            "PATCH /api/Task/request/{id}",
            "POST /api/Admin/Task/{id}/cancel",
            "POST /api/Schedule/{name}/pause",
            "POST /api/Schedule/{name}/resume",
            "POST /api/Schedule/{name}/run",
            "POST /api/Task",
            "POST /api/Task/batch",
            "POST /api/Task/cancel",
            "POST /api/Task/progress",
            "POST /api/Task/request",
            "POST /api/Task/results",
            "POST /api/Task/{id}/cancel",
            "POST /api/Task/{id}/rerun",
            "POST /api/Worker/heartbeat",
            "PUT /api/Operation/{type}",
            "PUT /api/Schedule/{name}",
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
            "cancelTaskAsAdmin",
            "cancelTasks",
            "checkLiveness",
            "checkReadiness",
            "claimTask",
            "claimTasks",
            "countTasks",
            "countTasksAsAdmin",
            "deleteSchedule",
            "explainProblemType",
            "followAllTasks",
            "followTask",
            "followTasks",
            "getSchedule",
            "getTask",
            "getTaskAsAdmin",
            "getTaskResult",
            "listOperations",
            "listProblemTypes",
            "listSchedules",
            "listTaskAttempts",
            "listTasks",
            "listTasksAsAdmin",
            "listWorkers",
            "pauseSchedule",
            "putSchedule",
            "registerOperation",
            "removeOperation",
            "reportProgress",
            "reportResults",
            "rerunTask",
            "resumeSchedule",
            "runSchedule",
            "sendHeartbeat",
            "submitTask",
            "submitTasks",
        ]
    );
}

#[test]
fn operations_take_a_bearer_token_and_their_errors_are_problems() {
    let document = document();
    let bearer = &document["components"]["securitySchemes"]["bearer"];
    assert_eq!((&bearer["type"], &bearer["scheme"]), (&json!("http"), &json!("bearer")));
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let is_error = !status.starts_with(['2', '3']);
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem == "#/components/schemas/Problem", is_error, "{method} {path} {status}");
        }
    }
}

#[test]
fn a_submission_is_answered_with_the_id_as_a_string_or_with_the_task() {
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
fn every_reference_of_the_document_points_into_it() {
    let document = document();
    let text = document.to_string();
    let targets = text.split(r##""$ref":"#"##).skip(1).map(|rest| rest.split('"').next().unwrap());
    for target in targets {
        assert!(document.pointer(target).is_some(), "the document has no {target}");
    }
}

#[test]
fn every_parameter_says_whether_it_is_in_the_path_and_whether_it_is_required() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let none = Vec::new();
        for parameter in operation["parameters"].as_array().unwrap_or(&none) {
            let parameter = match parameter["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap(),
                None => parameter,
            };
            let name = parameter["name"].as_str().unwrap();
            let is_in_path = path.contains(&format!("{{{name}}}"));
            assert_eq!(parameter["in"] == "path", is_in_path, "{method} {path} {name}");
            let is_required = is_in_path || name == "workerName";
            assert_eq!(parameter["required"], is_required, "{method} {path} {name}");
        }
    }
}
