//! The commands of a user, against a `tasker up`: their output and their exit codes.

use crate::person::Person;
use crate::process::{Said, Up, run, tasker};

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn a_task_goes_from_submission_to_result() {
    let up = Up::start();
    assert!(up.ask(["list"]).err.contains("no tasks yet"));

    let login = up.ask(["submit", "GENERATE_LOGIN", r#"{"length": 12}"#, "--ttl", "30s", "--wait"]);
    assert_eq!(login.code, 0, "{}", login.err);
    assert_eq!(login.out.len(), "\"twelvelength\"".len());

    let list = up.ask(["list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(list["tasks"][0]["status"], "FINISHED");
    let id = list["tasks"][0]["id"].as_str().unwrap();
    assert!(up.ask(["list"]).out.contains(&format!("{id}  FINISHED   GENERATE_LOGIN")));
    assert!(up.ask(["get", id]).out.contains(r#"parameters  {"length": 12}"#));
    assert_eq!(up.ask(["result", id]).out, login.out);
    assert_eq!(up.ask(["result", id, "-o", "json"]).out, format!(r#"{{"result":{}}}"#, login.out));
}

#[test]
fn an_answer_for_machines_holds_the_task_and_its_result() {
    let up = Up::start();
    let ended = up.ask(["submit", "GENERATE_NUMBER", "--ttl", "30s", "--wait", "-o", "json"]);
    let ended: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended["status"], "FINISHED");
    assert!(ended["result"].is_u64(), "{ended}");
}

#[test]
fn a_cancelled_task_has_a_code_of_its_own() {
    let up = Up::start();
    let expired = up.ask(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "300ms", "--wait"]);
    assert_eq!((expired.code, expired.out.as_str()), (3, ""), "{}", expired.err);
    assert!(expired.err.contains("was cancelled: TTL_EXPIRED"), "{}", expired.err);

    let id = up.ask(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).out;
    let cancelled = up.ask(["cancel", &id]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.err);
    assert!(cancelled.out.contains("reason      REQUESTED"), "{}", cancelled.out);
    assert_eq!(up.ask(["result", &id]).code, 3);
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    let up = Up::start();
    let typo = up.ask(["submit", "GENERATE_LOGNI", "--ttl", "5s"]);
    assert_eq!(typo.code, 1);
    assert!(typo.err.contains("GENERATE_LOGIN"), "{}", typo.err);
    let parameters = up.ask(["submit", "GENERATE_LOGIN", r#"{"length": 0}"#, "--ttl", "5s"]);
    assert_eq!(parameters.code, 1);
    assert!(parameters.err.contains("\n  /parameters/length: "), "{}", parameters.err);
    assert_eq!(up.ask(["get", UNKNOWN]).code, 1);
}

#[test]
fn what_is_wrong_on_the_command_line_is_not_sent() {
    let home = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| run(&mut tasker(home.path(), arguments.iter().copied()));
    let ttl = ask(&["submit", "GENERATE_LOGIN", "--ttl", "5"]);
    assert_eq!(ttl.code, 2);
    assert!(ttl.err.contains("500ms, 5s, 2m, 1h or 7d"), "{}", ttl.err);
    assert_eq!(ask(&["submit", "GENERATE_LOGIN", "{length}", "--ttl", "5s"]).code, 2);
    assert_eq!(ask(&["get", "not-an-id"]).code, 2);
    assert_eq!(ask(&["list", "--backend-url", "http://127.0.0.1:1"]).code, 2);
}

#[test]
fn a_server_that_is_not_there_has_a_code_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let Said { code, err, .. } = run(&mut tasker(home.path(), ["list"]));
    assert_eq!(code, 4);
    assert!(err.contains("start one with `tasker up`"), "{err}");

    let (home, _) = Up::start().stop();
    let Said { code, err, .. } = run(&mut tasker(home.path(), ["list"]));
    assert_eq!(code, 4);
    assert!(err.contains("is `tasker up` running?"), "{err}");
}

#[tokio::test]
async fn a_token_is_taken_from_the_environment_and_a_bad_one_is_denied() {
    let up = Up::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let list = |token: &str| {
        let list = ["list", "--backend-url", &up.backend, "-o", "json"];
        run(tasker(elsewhere.path(), list).env("TASKER_TOKEN", token))
    };
    assert_eq!(list("nonsense").code, 5);

    let ann = Person::register(&up.addresses(), "ann").await;
    let listed = list(ann.token());
    assert_eq!((listed.code, listed.out.as_str()), (0, r#"{"tasks":[]}"#), "{}", listed.err);
}

#[test]
fn a_list_is_a_page_and_says_where_the_next_one_begins() {
    let up = Up::start();
    let ids: Vec<String> = (0..3).map(|_| up.ask(["submit", "ECHO", "--ttl", "30s"]).out).collect();
    let newest = up.ask(["list", "--limit", "2"]);
    assert_eq!(newest.out.lines().count(), 2, "{}", newest.out);
    assert!(newest.out.starts_with(&ids[2]), "{}", newest.out);
    let next = format!("tasker list --limit 2 --before {}", ids[1]);
    assert!(newest.err.contains(&next), "{}", newest.err);
    let rest = up.ask(["list", "--limit", "2", "--before", &ids[1]]);
    assert!(rest.out.starts_with(&ids[0]) && rest.out.lines().count() == 1, "{}", rest.out);
    assert_eq!(rest.err, "", "that was the last");
    assert_eq!(up.ask(["list", "--limit", "0"]).code, 2);
}
