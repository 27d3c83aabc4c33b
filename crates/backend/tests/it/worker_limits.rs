//! What workers may send and keep: sizes of bodies, counts in heartbeats, names, types, versions and queues.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::kit::openapi_checked_client::{ApiClient, ApiResponse};
use crate::kit::test_backend::{TestBackend, on_each_database};

async fn register(client: &ApiClient<'_>, operation: Value) -> ApiResponse {
    client.put(&format!("/api/Operation/{}", operation["type"].as_str().unwrap())).json(operation).await
}

fn operation(name: &str, queue: &str) -> Value {
    json!({"type": name, "queue": queue, "parameters": {}, "result": {}})
}

#[tokio::test]
async fn a_heartbeat_names_a_bounded_number_of_slots_types_and_tasks() {
    on_each_database(async |service| {
        let worker = service.worker();
        let types = |count: usize| (0..count).map(|n| format!("T{n}")).collect::<Vec<_>>();
        let running = |count| vec![json!({"id": Uuid::new_v4(), "attempt": 1}); count];
        let body = json!({"worker": "w", "instance": Uuid::new_v4(), "slots": 10_000, "types": types(1000), "running": running(20_000)});
        worker.post("/api/Worker/heartbeat").json(body.clone()).await.expect_status(200);
        for (name, value) in
            [("slots", json!(10_001)), ("types", json!(types(1001))), ("running", json!(running(20_001)))]
        {
            let mut body = body.clone();
            body[name] = value;
            let refused = worker.post("/api/Worker/heartbeat").json(body).await.expect_status(422);
            assert_eq!(refused.errors().keys().collect::<Vec<_>>(), [&format!("/{name}")]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_is_not_larger_than_the_largest_request_of_its_route() {
    on_each_database(async |service| {
        let worker = service.worker();
        for (method, path, limit) in [
            (Method::POST, "/api/Task/request", 1 << 20),
            (Method::POST, "/api/Worker/heartbeat", 4 << 20),
            (Method::POST, "/api/Task/results", 32 << 20),
            (Method::PUT, "/api/Operation/NEW", 320 << 10),
        ] {
            let send = |bytes| worker.call(method.clone(), path).body(" ".repeat(bytes));
            assert_eq!(send(limit).await.problem().0, 400, "{path}: blanks are no JSON");
            assert_eq!(send(limit + 1).await.problem(), (413, "body-too-large".to_owned()), "{path}");
        }
    })
    .await;
}

/// Sends the head of a batch of reports whose length it does not tell.
async fn begin_reports(service: &TestBackend, token: &str) -> TcpStream {
    let address = service.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head =
        "POST /api/Task/results HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close";
    connection
        .write_all(format!("{head}\r\nauthorization: Bearer {token}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn the_bodies_that_are_read_at_once_have_a_bounded_size_together() {
    on_each_database(async |service| {
        let token = service.worker().token.unwrap();
        let mut answers = FuturesUnordered::new();
        for _ in 0..9 {
            let mut connection = begin_reports(service, &token).await;
            answers.push(async move {
                let mut first = [0; 12];
                connection.read_exact(&mut first).await.unwrap();
                let mut rest = String::new();
                connection.read_to_string(&mut rest).await.unwrap();
                (String::from_utf8(first.to_vec()).unwrap(), rest.to_ascii_lowercase())
            });
        }
        let (status, rest) = answers.next().await.unwrap();
        assert_eq!(status, "HTTP/1.1 503", "eight bodies of 32 MiB are being read");
        assert!(rest.contains("retry-after: 1\r\n"), "{rest}");
        // The connections of the others are closed, and their bodies leave room.
        drop(answers);
        let reports = json!({"worker": "w", "reports": []});
        service.worker().post("/api/Task/results").json(reports).await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_live_workers() {
    on_each_database(async |service| {
        let (worker, other) = (service.worker(), service.worker());
        worker.heartbeat("w", &[]).await.expect_status(200);
        let seed = "insert into worker (name, subject, instance, slots, types, stop_means, first_heartbeat_at, last_heartbeat_at)
            with recursive n (i) as (select 1 union all select i + 1 from n where i < 999)
            select 'w' || i, subject, instance, slots, types, stop_means, first_heartbeat_at, last_heartbeat_at from worker, n";
        service.execute_sql(seed.to_owned()).await;
        let refused = worker.heartbeat("one more", &[]).await;
        assert_eq!(refused.problem(), (429, "too-many-workers".to_owned()));
        assert!(refused.text.contains("1000 workers are running"), "{}", refused.text);
        worker.heartbeat("w", &[]).await.expect_status(200);
        other.heartbeat("one more", &[]).await.expect_status(200);
        let last = json!({"worker": "w", "instance": worker.instance, "slots": 1, "types": [], "running": [], "last": true});
        worker.post("/api/Worker/heartbeat").json(last).await.expect_status(200);
        worker.heartbeat("another", &[]).await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_types_and_queues_and_a_type_of_versions() {
    on_each_database(async |service| {
        let (worker, other) = (service.worker(), service.worker());
        for n in 0..20 {
            register(&worker, operation(&format!("T{n}"), &format!("q{n}"))).await.expect_status(200);
        }
        let refusal = async |operation: Value, words: &str| {
            let refused = register(&worker, operation).await;
            assert_eq!(refused.problem(), (409, "too-many-operations".to_owned()));
            assert!(refused.text.contains(words), "{}", refused.text);
        };
        refusal(operation("NEW", "new"), "20 queues").await;
        register(&worker, operation("NEW", "q7")).await.expect_status(200);
        register(&other, operation("OTHER", "new")).await.expect_status(200);
        register(&service.admin(), operation("ADMIN", "newer")).await.expect_status(200);
        let versions = "insert into operation (type, version, queue, spec)
            with recursive n (i) as (select 2 union all select i + 1 from n where i < 100)
            select type, i, queue, spec from operation, n where type = 'T0'";
        service.execute_sql(versions.to_owned()).await;
        let version = |number: u32| {
            let mut version = operation("T0", "q0");
            version["version"] = json!(number);
            version
        };
        refusal(version(101), "100 versions").await;
        worker.call(Method::DELETE, "/api/Operation/T0?version=1").await.expect_status(204);
        register(&worker, version(101)).await.expect_status(200);
        let types = "insert into operation_type (type, subject)
            with recursive n (i) as (select 1 union all select i + 1 from n where i < 979)
            select 'SEED' || i, subject from operation_type, n where type = 'T0'";
        service.execute_sql(types.to_owned()).await;
        refusal(operation("NEWER", "q7"), "1000 types").await;
        register(&worker, version(102)).await.expect_status(409);
        worker.call(Method::DELETE, "/api/Operation/T19").await.expect_status(204);
        register(&worker, operation("NEWER", "q7")).await.expect_status(200);
    })
    .await;
}

#[tokio::test]
async fn the_schemas_of_an_account_have_a_bounded_size_and_no_member_twice() {
    on_each_database(async |service| {
        let worker = service.worker();
        let of_size = |name: &str, bytes: usize| {
            let mut operation = operation(name, "default");
            operation["result"] = json!({"description": "x".repeat(bytes)});
            operation
        };
        let too_large = register(&worker, of_size("LARGE", 256 << 10)).await;
        assert_eq!(too_large.problem(), (422, "schemas-too-large".to_owned()));
        assert!(too_large.errors().contains_key("/result"), "{}", too_large.text);
        for n in 0..17 {
            register(&worker, of_size(&format!("LARGE{n}"), 255 << 10)).await.expect_status(200);
        }
        let refused = register(&worker, operation("NEW", "default")).await;
        assert_eq!(refused.problem(), (409, "too-many-operations".to_owned()));
        for member in ["parameters", "result"] {
            let other = if member == "result" { "parameters" } else { "result" };
            let body = format!(
                r#"{{"type": "TWICE", "{other}": {{}}, "{member}": {{"type": "string", "type": "number"}}}}"#
            );
            let refused = worker.put("/api/Operation/TWICE").body(body).await;
            assert_eq!(refused.problem(), (422, "schema-refused".to_owned()));
            let errors = refused.errors();
            assert!(errors[&format!("/{member}")].contains(r#""type" occurs twice"#), "{errors:?}");
        }
    })
    .await;
}
