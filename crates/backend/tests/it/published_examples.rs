//! The examples of the OpenAPI document: each request is sent as the document shows it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::event_reader::EventReader;
use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::on_each_database;

/// The operations of the document: path, method, description. What creates comes first, what removes last.
fn operations(document: &Value) -> Vec<(String, Method, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (path.clone(), method.to_uppercase().parse().unwrap(), operation.clone())
        })
    });
    let mut operations: Vec<(String, Method, Value)> = operations.collect();
    operations.sort_by_key(|(_, method, _)| match *method {
        Method::PUT => 0,
        Method::DELETE => 2,
        _ => 1,
    });
    operations
}

/// What a reference points to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

/// The example of a parameter or of a body, or of its schema.
fn example<'a>(document: &'a Value, described: &'a Value) -> Option<&'a Value> {
    let schema = resolved(document, &described["schema"]);
    described.get("example").or_else(|| schema["examples"].get(0))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The parameters of a query that an example stands for: one for each element of a list.
fn query_parameters<'a>(name: &'a str, shown: &'a Value) -> impl Iterator<Item = String> + 'a {
    let values = shown.as_array().map_or(std::slice::from_ref(shown), Vec::as_slice);
    values.iter().map(move |value| format!("{name}={}", text(value).replace('+', "%2B")))
}

/// The path with the examples of its parameters. The task is one of the caller.
async fn path_and_query(document: &Value, client: &ApiClient<'_>, path: &str, operation: &Value) -> String {
    let (mut path, mut query) = (path.to_owned(), Vec::new());
    let none = Vec::new();
    for parameter in operation["parameters"].as_array().unwrap_or(&none) {
        let parameter = resolved(document, parameter);
        let name = parameter["name"].as_str().unwrap();
        let place = format!("{{{name}}}");
        let shown = example(document, parameter);
        match (parameter["in"].as_str().unwrap(), name) {
            ("path", "id") => path = path.replace(&place, &client.submit_echo().await),
            ("path", _) => {
                path = path.replace(&place, &text(shown.expect("a part of a path has an example")));
            }
            ("query", _) => {
                query.extend(shown.into_iter().flat_map(|shown| query_parameters(name, shown)));
            }
            _ => {}
        }
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

#[tokio::test]
async fn the_example_of_every_request_is_answered_as_the_document_says() {
    let document = serde_json::to_value(backend::openapi()).unwrap();
    on_each_database(async |service| {
        let client = service.admin();
        for name in ["GENERATE_NUMBER", "GENERATE_LOGIN"] {
            let operation = json!({"type": name, "version": 1, "parameters": {}, "result": {}});
            client.put(&format!("/api/Operation/{name}")).json(operation).await.expect_status(200);
        }
        for (path, method, operation) in operations(&document) {
            let what = format!("{method} {path}");
            let target = path_and_query(&document, &client, &path, &operation).await;
            if operation["responses"]["200"]["content"]["text/event-stream"].is_object() {
                EventReader::open(&client, &target, None).await;
                continue;
            }
            let request = client.call(method, &target);
            let body = &operation["requestBody"]["content"]["application/json"];
            let request = match operation.get("requestBody") {
                Some(_) => request.json(example(&document, body).expect("a body has an example").clone()),
                None => request,
            };
            let answer = request.await;
            match &*path {
                "/api/Task/{id}/result" => assert_eq!(answer.problem(), (404, "no-result".to_owned())),
                _ => assert!((200..300).contains(&answer.status), "{what}: {}", answer.text),
            }
        }
    })
    .await;
}

#[test]
fn every_refusal_has_examples_of_its_problems() {
    let document = serde_json::to_value(backend::openapi()).unwrap();
    for (path, method, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let problem = &response["content"]["application/problem+json"];
            if problem.is_null() || status == "4XX" {
                continue;
            }
            let examples =
                problem["examples"].as_object().unwrap_or_else(|| panic!("{method} {path} {status}"));
            for example in examples.values() {
                let shown = resolved(&document, example)["value"]["status"].to_string();
                assert!(status == "default" || shown == *status, "{method} {path} {status}: {example}");
            }
        }
    }
}
