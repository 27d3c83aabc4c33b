//! Compressed bodies of requests, through every layer of the listeners of both services.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::tasker_up::TaskerUp;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Posts `body` compressed, and returns the status and the body of the answer.
async fn post(http: &Client, url: String, media_type: &str, token: &str, body: &str) -> (StatusCode, String) {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(body.as_bytes()).unwrap();
    let request = http.post(url).header(CONTENT_TYPE, media_type).header(CONTENT_ENCODING, "gzip");
    // A form is sent by a browser or a client of OAuth, which have no bearer token.
    let request = if media_type == JSON { request.bearer_auth(token) } else { request };
    let request = request.body(gzip.finish().unwrap());
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_gzip_body_is_read_by_every_kind_of_route() {
    let up = TaskerUp::start();
    let (urls, http) = (up.urls(), up.urls().http_client());
    let token = ApiClient::register_administrator(&urls, &up.setup_link, "root").await.token().to_owned();
    let task = r#"{"type": "ECHO", "ttl": 60000, "parameters": {"a": 1}}"#;
    let instance = "c1a7e0f2-3b64-4f0a-9c55-7d2f6e8b1a90";
    let claim =
        json!({"claim": instance, "worker": "w", "instance": instance, "wanted": {"ids": [instance]}});
    let heartbeat = json!({"worker": "w", "instance": instance, "slots": 1, "types": [], "running": []});
    let sign_in = format!("Username=root&Password={PASSWORD}");
    let grant = format!("grant_type=password&client_id=tasker_backend&username=root&password={PASSWORD}");
    let account = json!({"name": "ann", "password": PASSWORD, "role": "User"});
    for (base, path, media_type, body, expected) in [
        (&urls.backend, "/api/Task", JSON, task.to_owned(), 201),
        (&urls.backend, "/api/Task/request", JSON, claim.to_string(), 200),
        (&urls.backend, "/api/Task/results", JSON, json!({"worker": "w", "reports": []}).to_string(), 200),
        (&urls.backend, "/api/Worker/heartbeat", JSON, heartbeat.to_string(), 200),
        (&urls.identity, "/connect/token", FORM, grant, 200),
        (&urls.identity, "/Auth/Login", FORM, sign_in, 303),
        (&urls.identity, "/api/User", JSON, account.to_string(), 201),
    ] {
        let (status, answer) = post(&http, format!("{base}{path}"), media_type, &token, &body).await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
}
