//! Compression of the API's answers.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, VARY};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

/// Whether caches are told that the answer depends on the encodings that a client accepts.
fn varies(headers: &HeaderMap) -> bool {
    headers.get_all(VARY).iter().any(|value| value == "accept-encoding")
}

#[tokio::test]
async fn a_page_and_a_streamed_list_are_compressed_for_clients_that_accept_it() {
    on_each_database(async |service| {
        let owner = Uuid::new_v4();
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        // More than a page: the whole list is a stream.
        service.submit_to_store(owner, "ECHO", 1500).await;
        for path in ["/api/Task", "/api/Task?limit=100"] {
            let plain = user.get(path).await;
            assert_eq!(
                (plain.header("content-encoding"), plain.header("vary")),
                (None, Some("accept-encoding"))
            );
            let request = service.http.get(format!("{}{path}", service.url));
            let request = request.bearer_auth(user.token.as_ref().unwrap()).header("accept-encoding", "gzip");
            let answer = request.send().await.unwrap();
            let header = |name| answer.headers()[name].to_str().unwrap();
            assert_eq!((header(CONTENT_ENCODING), header(CONTENT_TYPE)), ("gzip", "application/json"));
            assert!(varies(answer.headers()));
            let compressed = answer.bytes().await.unwrap();
            assert!(compressed.len() < plain.text.len() / 2, "{path}: {} bytes", compressed.len());
            let mut text = String::new();
            GzDecoder::new(&*compressed).read_to_string(&mut text).unwrap();
            assert_eq!(text, plain.text, "{path}");
        }
        let small = user.get("/api/Task?limit=1").header("accept-encoding", "gzip").await.expect_status(200);
        assert_eq!((small.header("content-encoding"), varies(&small.headers)), (None, false));
    })
    .await;
}

/// A caller that reads 406 would submit the task again.
#[tokio::test]
async fn an_accepted_task_is_answered_with_201_whatever_encodings_the_caller_accepts() {
    on_each_database(async |service| {
        let user = service.user();
        let parameters = "long ".repeat(1000);
        let body = json!({"type": "ECHO", "parameters": parameters, "ttl": 60_000});
        let submit =
            user.submit(body).prefer("return=representation").header("accept-encoding", "br, identity;q=0");
        let task: Value = submit.await.expect_status(201).read();
        assert_eq!(task["parameters"], parameters);
    })
    .await;
}
