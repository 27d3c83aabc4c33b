//! How bodies and queries are read: media types, encodings, byte order marks, arrays in place of objects, unknown parameters.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

const TASK: &str = r#"{"type": "ECHO", "ttl": 60000}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn an_array_is_not_an_object_in_any_body() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let (claim, operation) = (Uuid::new_v4(), json!({"type": "NEW", "parameters": true, "result": true}));
        let wrong = (422, "wrong-shape".to_owned());
        let with = |mut object: Value, name: &str, value: Value| {
            object[name] = value;
            object
        };
        for (method, path, body) in [
            (Method::POST, "/api/Task", json!(["ECHO", null, 60_000])),
            (Method::POST, "/api/Task/request", json!([claim, "w", {"ids": [id]}, 0, []])),
            (
                Method::POST,
                "/api/Task/request",
                json!({"claim": claim, "worker": "w", "instance": claim, "wanted": {"pull": [["ECHO"], 1, 0]}}),
            ),
            (
                Method::POST,
                "/api/Task/request",
                json!({"claim": claim, "worker": "w", "instance": claim, "wanted": {"ids": [id]}, "declined": [[id, "ECHO"]]}),
            ),
            (Method::POST, "/api/Task/results", json!(["w", []])),
            (Method::POST, "/api/Worker/heartbeat", json!(["w", 1, ["ECHO"], [], false])),
            (
                Method::POST,
                "/api/Worker/heartbeat",
                json!({"worker": "w", "instance": claim, "slots": 1, "types": ["ECHO"], "running": [[id, 1]]}),
            ),
            (Method::PUT, "/api/Operation/NEW", json!(["NEW", 1, "default", true, true])),
            (Method::PUT, "/api/Operation/NEW", with(operation, "ttl", json!([1, 2]))),
        ] {
            let client = if path == "/api/Task" { &user } else { &worker };
            let answer = client.call(method, path).json(body.clone()).await;
            assert_eq!(answer.problem(), wrong, "{path} {body}");
        }
        // Each report stands alone, so an array among them is refused by itself.
        let reports = json!({"worker": "w", "reports": [[id, 1, claim, {"result": 1}]]});
        assert_eq!(worker.post("/api/Task/results").json(reports).await.read::<Value>()[0]["became"], "invalid");
        assert_eq!(user.task(&id).await["status"], "CREATED");
    })
    .await;
}

#[tokio::test]
async fn a_gzip_body_is_decompressed_within_the_limit_of_the_route() {
    on_each_database(async |service| {
        let user = service.user();
        let submit = |encoding: &str, body: Vec<u8>| {
            user.post("/api/Task").header("Content-Encoding", encoding).body(body)
        };
        for encoding in ["gzip", "x-gzip", "GZIP"] {
            submit(encoding, gzip(TASK.as_bytes())).await.id();
        }
        submit("identity", TASK.into()).await.id();
        let large = format!(r#"{{"type": "ECHO", "ttl": 1000, "parameters": "{}"}}"#, "x".repeat(1 << 20));
        let small = gzip(large.as_bytes());
        assert!(small.len() < 8192, "{}", small.len());
        assert_eq!(submit("gzip", small).await.problem(), (413, "body-too-large".to_owned()));
        assert_eq!(submit("gzip", TASK.into()).await.problem(), (400, "malformed".to_owned()));
        for encoding in ["br", "deflate", "zstd", "gzip, gzip", "", "x"] {
            let answer = submit(encoding, gzip(TASK.as_bytes())).await;
            assert_eq!(answer.problem(), (415, "unsupported-encoding".to_owned()), "{encoding}");
            assert_eq!(answer.header("accept-encoding"), Some("gzip, identity"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_of_another_media_type_is_refused() {
    on_each_database(async |service| {
        let user = service.user();
        let submit = |media_type: &str| user.post("/api/Task").header("Content-Type", media_type).bytes(TASK);
        for media_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.tasker+json"]
        {
            submit(media_type).await.id();
        }
        user.post("/api/Task").bytes(TASK).await.id();
        for media_type in
            ["text/xml", "text/plain", "application/x-www-form-urlencoded", "json", "text/json+x"]
        {
            let answer = submit(media_type).await;
            assert_eq!(answer.problem(), (415, "unsupported-media-type".to_owned()), "{media_type}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_skipped() {
    on_each_database(async |service| {
        let user = service.user();
        user.post("/api/Task").body(format!("\u{feff}{TASK}")).await.id();
        let twice = user.post("/api/Task").body(format!("\u{feff}\u{feff}{TASK}")).await;
        assert_eq!(twice.problem(), (400, "malformed".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_query_parameter_that_a_path_does_not_have_is_refused() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        for (client, method, path) in [
            (&user, Method::GET, format!("/api/Task/{id}?wait=5")),
            (&user, Method::GET, "/api/Task?lmit=5".to_owned()),
            (&user, Method::POST, "/api/Task?wait=5".to_owned()),
            (&user, Method::GET, format!("/api/Task/{id}/result?wait=5")),
            (&user, Method::POST, format!("/api/Task/{id}/cancel?force=true")),
            (&user, Method::GET, "/api/Operation?type=ECHO".to_owned()),
            (&worker, Method::GET, "/api/Worker?limit=1".to_owned()),
            (&worker, Method::PATCH, format!("/api/Task/request/{id}?workerName=w&claim=1")),
            (&worker, Method::POST, "/api/Worker/heartbeat?first=true".to_owned()),
            (&user, Method::GET, "/health/ready?verbose".to_owned()),
        ] {
            let answer = client.call(method, &path).await;
            assert_eq!(answer.problem(), (400, "malformed".to_owned()), "{path}");
            assert!(answer.text.contains("there is no query parameter"), "{path}: {}", answer.text);
        }
        assert_eq!(user.task(&id).await["status"], "CREATED");
    })
    .await;
}

#[tokio::test]
async fn an_attempt_that_no_database_can_store_is_refused() {
    on_each_database(async |service| {
        let (worker, id, claim) = (service.worker(), Uuid::new_v4(), Uuid::new_v4());
        let attempt = 2_147_483_648_u64;
        let running = json!([{"id": id, "attempt": attempt}]);
        let heartbeat =
            json!({"worker": "w", "instance": claim, "slots": 1, "types": ["ECHO"], "running": running});
        let answer = worker.post("/api/Worker/heartbeat").json(heartbeat).await;
        assert_eq!(answer.problem(), (422, "wrong-shape".to_owned()));
        let report =
            json!({"id": id, "type": "ECHO", "attempt": attempt, "claim": claim, "reported": "released"});
        let reports = json!({"worker": "w", "reports": [report]});
        assert_eq!(
            worker.post("/api/Task/results").json(reports).await.read::<Value>()[0]["became"],
            "invalid"
        );
    })
    .await;
}
