//! Text from elsewhere in the log and on the terminal: it forges no line, and no character of it changes how others are shown.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use domain::ClaimResponse;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;

/// Begins with a line break and the colour red, and has a line separator, a bidirectional control and a tag.
const HOSTILE: &str =
    "\u{1b}[31mINJ\n2026-01-01T00:00:00.000000Z ERROR forged\u{2028}\u{202e}\u{e0041}\u{9b}";

/// An administrator, who may act as a worker.
struct Insider {
    http: Client,
    backend: String,
    token: String,
}

impl Insider {
    async fn register(up: &TaskerUp) -> Self {
        let client = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
        let http = up.urls().http_client();
        Self { http, backend: up.backend_url.clone(), token: client.token().to_owned() }
    }

    /// Sends a request with a JSON body and expects an answer 2xx.
    async fn send(&self, method: Method, path: &str, body: &Value) -> String {
        let request = self.http.request(method, format!("{}{path}", self.backend)).bearer_auth(&self.token);
        let request = request.header("Prefer", "return=representation");
        let answer = request.json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        text
    }
}

#[tokio::test]
async fn text_from_elsewhere_forges_no_line_of_the_log() {
    for format in ["text", "json"] {
        let more = format!("log.format={format}");
        let up = TaskerUp::start_with(&["log.file=tasker.log", "log.level=info", &more]);
        let insider = Insider::register(&up).await;
        let reports = json!({"worker": "w", "reports": [{HOSTILE: 1}]});
        let answer = insider.send(Method::POST, "/api/Task/results", &reports).await;
        assert!(answer.contains("invalid"), "{answer}");
        let (home, _) = up.stop();
        let log = std::fs::read_to_string(home.path().join("tasker.log")).unwrap();
        assert!(log.contains("cannot be read") && log.contains("ERROR forged"), "{log}");
        let line = log.lines().find(|line| line.starts_with("2026-01-01T00:00:00.000000Z"));
        assert_eq!(line, None, "{format}");
        for hidden in HOSTILE.chars().filter(|character| !matches!(character, ' '..='~' | '\n')) {
            assert!(!log.contains(hidden), "{format}: {hidden:?} in {log}");
        }
    }
}

#[tokio::test]
async fn text_from_elsewhere_forges_no_line_of_a_command() {
    let up = TaskerUp::start();
    let insider = Insider::register(&up).await;
    let about = format!("one\nversion     9{HOSTILE}");
    let operation = json!({"type": "NEW", "description": about, "parameters": {}, "result": {}});
    insider.send(Method::PUT, "/api/Operation/NEW", &operation).await;
    let parameters = "[\n\"status      FINISHED\",\nnull]";
    let id = up.run_command(["submit", "NEW", parameters, "--ttl", "1m"]).stdout;
    let path = format!("/api/Task/request/{id}?workerName=w");
    let claim = insider.send(Method::PATCH, &path, &json!({})).await;
    let grant = serde_json::from_str::<ClaimResponse>(&claim).unwrap().tasks.remove(0);
    let error = format!("one\nstatus      FINISHED\nerror       none{HOSTILE}");
    let report = json!({"id": id, "type": "NEW", "attempt": grant.attempt, "claim": grant.claim, "reported": {"error": error}});
    insider.send(Method::POST, "/api/Task/results", &json!({"worker": "w", "reports": [report]})).await;
    let shown =
        [&["get", &id][..], &["watch", &id], &["operations", "NEW"], &["operations"]].map(|arguments| {
            let output = up.run_command(arguments.iter().copied());
            output.stdout + "\n" + &output.stderr
        });
    for text in &shown {
        assert!(
            !text.contains(|character| domain::is_control_or_invisible(character) && character != '\n'),
            "{text:?}"
        );
        for (field, most) in [("status", 1), ("error", 1), ("version", 1), ("2026-01-01", 0)] {
            let lines = text.lines().filter(|line| line.starts_with(field)).count();
            assert!(lines <= most, "{field}: {text}");
        }
    }
    assert!(shown[0].contains("\nerror       one\n            status      FINISHED\n"), "{}", shown[0]);
    assert!(shown[1].contains("\n  one\n    status      FINISHED\n"), "{}", shown[1]);
}
