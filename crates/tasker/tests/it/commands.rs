//! The commands of a user, against a `tasker up`: their output and their exit codes.

use std::os::unix::fs::PermissionsExt;

use crate::kit::person::Person;
use crate::kit::process::{Process, Said, Up, run, run_with, tasker};

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
fn every_end_without_a_result_has_a_code_of_its_own() {
    let up = Up::start();
    let expired = up.ask(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "300ms", "--wait"]);
    assert_eq!((expired.code, expired.out.as_str()), (6, ""), "{}", expired.err);
    assert!(expired.err.contains("was cancelled: TTL_EXPIRED"), "{}", expired.err);

    let id = up.ask(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).out;
    let early = up.ask(["result", &id]);
    assert_eq!(early.code, 3, "{}", early.err);
    assert!(early.err.contains("hint: `tasker watch ID`"), "{}", early.err);
    let cancelled = up.ask(["cancel", &id]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.err);
    assert!(cancelled.out.contains("reason      REQUESTED"), "{}", cancelled.out);
    assert_eq!(up.ask(["result", &id]).code, 7);
    assert_eq!(up.ask(["watch", &id]).code, 7);
    assert_eq!(up.ask(["cancel", &id]).code, 0, "it is cancelled, as was asked");
    let expired = up.ask(["list", "-o", "id"]).out.lines().last().unwrap().to_owned();
    assert_eq!(up.ask(["cancel", &expired]).code, 6);
}

#[test]
fn a_wait_that_runs_out_leaves_the_task_alone() {
    let up = Up::start();
    let sleep = ["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s", "--wait=300ms"];
    let out_of_time = up.ask(sleep);
    assert_eq!((out_of_time.code, out_of_time.out.as_str()), (3, ""), "{}", out_of_time.err);
    let (_, id) = out_of_time.err.split_once("tasker watch ").expect("how to wait on");
    assert!(up.ask(["get", id]).out.contains("status      RUNNING"));
    for (form, begin) in [("json", r#"{"id":""#), ("id", "")] {
        let told = up.ask([&sleep[..], &["-o", form]].concat());
        let id = told.out.trim_start_matches(begin).trim_end_matches("\"}");
        assert!(told.code == 3 && up.ask(["get", id]).code == 0, "{told:?}");
    }
    let lines = up.ask(["submit", "ECHO", "{\"a\":\n1}", "--ttl", "30s", "--wait", "-o", "json"]).out;
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

/// `script` gives a command a terminal of its own.
#[test]
fn on_a_terminal_a_bar_fills_and_statuses_have_colours() {
    let up = Up::start();
    let seen = |command: &str| {
        let path = std::path::Path::new(env!("CARGO_BIN_EXE_tasker")).parent().unwrap();
        let mut script = std::process::Command::new("script");
        script.args(["--quiet", "--return", "--command", command, "/dev/null"]).current_dir(up.home());
        run(script.env_clear().env("PATH", format!("{}:/usr/bin:/bin", path.display())).env("TERM", "xterm"))
    };
    let waited = seen(r#"tasker submit SLEEP '{"ms": 1500}' --ttl 3s --wait"#);
    assert_eq!(waited.code, 0, "{}", waited.out);
    assert!(waited.out.contains("waiting for a worker") && waited.out.contains("█"), "{:?}", waited.out);
    assert!(waited.out.contains(" of 3 s") && waited.out.ends_with("1500"), "{:?}", waited.out);
    assert!(seen("tasker list").out.contains("\u{1b}[32mFINISHED"));
    assert!(!seen("NO_COLOR=1 tasker list").out.contains('\u{1b}'));
}

#[test]
fn ctrl_c_ends_the_wait_and_not_the_task() {
    let up = Up::start();
    let id = up.ask(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).out;
    let mut watch = Process::start(&mut tasker(up.home(), ["watch", &id]));
    watch.until_it_hears_ctrl_c();
    watch.signal("INT");
    assert_eq!(watch.ended().code(), Some(130), "{:?}", watch.seen());
    let said = format!("{id} continues; to wait again: tasker watch {id}; to cancel it: tasker cancel {id}");
    assert!(watch.seen().contains(&said), "{:?}", watch.seen());
    assert!(up.ask(["get", &id]).out.contains("status      RUNNING"));
}

#[test]
fn what_happens_to_tasks_can_be_watched() {
    let up = Up::start();
    let mut watch = Process::start(&mut tasker(up.home(), ["watch"]));
    let id = up.ask(["submit", "ECHO", "--ttl", "60s", "--wait", "-o", "id"]).out;
    watch.after(&format!("{id}  FINISHED   ECHO"));
    watch.signal("INT");
    assert_eq!(watch.ended().code(), Some(0));
}

#[test]
fn a_reader_that_has_gone_ends_the_watch() {
    let up = Up::start();
    up.ask(["submit", "ECHO", "--ttl", "60s", "--wait"]);
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_tasker")).parent().unwrap();
    let mut shell = std::process::Command::new("bash");
    let script = r#"tasker watch | head -1; echo "${PIPESTATUS[0]}""#;
    // The next line is what finds nobody there.
    let more = "(while tasker submit ECHO --ttl 60s; do :; done) >/dev/null 2>&1 & ";
    shell.args(["-c", &format!("{more}{script}; kill %1")]).current_dir(up.home());
    let said = run(shell.env_clear().env("PATH", format!("{}:/usr/bin:/bin", path.display())));
    assert!(said.out.contains("FINISHED") && said.out.ends_with("\n0"), "{said:?}");
}

#[test]
fn ids_alone_are_for_the_next_command() {
    let up = Up::start();
    let id = up.ask(["submit", "ECHO", "--ttl", "60s", "-o", "id"]).out;
    assert_eq!(up.ask(["list", "-o", "id"]).out, id);
    assert_eq!(up.ask(["get", &id, "-o", "id"]).out, id);
    assert_eq!(up.ask(["whoami", "-o", "id"]).out, "local");
    assert_eq!(up.ask(["operations", "-o", "id"]).out, "ECHO\nGENERATE_LOGIN\nGENERATE_NUMBER\nSLEEP");
}

#[test]
fn operations_show_what_they_take() {
    let up = Up::start();
    let all = up.ask(["operations"]).out;
    assert!(all.contains("GENERATE_LOGIN   v1    What the login is made of."), "{all}");
    let one = up.ask(["operations", "GENERATE_NUMBER"]).out;
    assert!(one.contains("isolation   async") && one.contains(r#""maximum": 18"#), "{one}");
    let none = up.ask(["operations", "NONE"]);
    assert_eq!(none.code, 8);
    assert!(none.err.contains("there is no operation NONE"), "{}", none.err);
}

/// A sign-in is kept for its owner alone, wins over the directory, and ends with `logout`.
#[tokio::test]
async fn who_has_signed_in_acts_until_they_sign_out() {
    let up = Up::start();
    Person::register(&up.addresses(), "ann").await;
    let state = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str], typed: &str| {
        let mut command = tasker(up.home(), arguments.iter().copied());
        run_with(command.env("XDG_STATE_HOME", state.path()), typed)
    };
    assert!(ask(&["whoami"], "").out.starts_with("local (User) at http://127.0.0.1:"));
    let wrong = ask(&["login", "ann", "--password-stdin"], "no such password\n");
    assert_eq!(wrong.code, 4, "{}", wrong.err);
    let signed_in = ask(&["login", "ann", "--password-stdin"], "seven-green-herons\n");
    assert_eq!(signed_in.code, 0, "{}", signed_in.err);
    let session = state.path().join("tasker/session.json");
    assert_eq!(std::fs::metadata(&session).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&session).unwrap().contains("seven-green-herons"));

    let elsewhere = tempfile::tempdir().unwrap();
    let list = ["whoami", "-o", "json"];
    let who = run(tasker(elsewhere.path(), list).env("XDG_STATE_HOME", state.path()));
    let who: serde_json::Value = serde_json::from_str(&who.out).unwrap();
    assert_eq!((&who["name"], &who["backend"]), (&"ann".into(), &up.backend.as_str().into()));
    // A directory that is named wins over the sign-in.
    assert_eq!(ask(&["whoami", "--data-dir", ".tasker", "-o", "id"], "").out, "local");

    let text = std::fs::read_to_string(&session).unwrap();
    let ended = text.replace(r#""expires_at": "20"#, r#""expires_at": "19"#);
    std::fs::write(&session, ended).unwrap();
    let ended = ask(&["list"], "");
    assert_eq!(ended.code, 4);
    assert!(ended.err.contains("the sign-in of ann has expired: use `tasker login` again"), "{}", ended.err);
    assert_eq!(ask(&["logout"], "").err, "signed out");
    assert_eq!(ask(&["whoami", "-o", "id"], "").out, "local");
    assert_eq!(ask(&["logout"], "").err, "nobody was signed in");
}

#[tokio::test]
async fn workers_are_shown_to_administrators() {
    let up = Up::start();
    let refused = up.ask(["workers"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("hint: `tasker whoami` shows the roles"), "{}", refused.err);
    let admin = Person::administrator(&up.addresses(), &up.setup, "root").await;
    let workers = run(tasker(up.home(), ["workers"]).env("TASKER_TOKEN", admin.token()));
    assert_eq!(workers.code, 0, "{}", workers.err);
    assert!(
        workers.out.contains("8 slots") && workers.out.contains("ECHO GENERATE_LOGIN"),
        "{}",
        workers.out
    );
}

#[test]
fn shells_can_complete_the_commands() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&mut tasker(home.path(), ["completions", shell]));
        assert!(script.code == 0 && script.out.contains("whoami"), "{shell}");
    }
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
    assert_eq!(up.ask(["get", UNKNOWN]).code, 8);
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
    assert_eq!(ask(&["submit", "ECHO", "--ttl", "5s", "--wait=soon"]).code, 2);
    let stranger = ask(&["list", "--backend-url", "http://127.0.0.1:1"]);
    assert_eq!(stranger.code, 4);
    assert!(stranger.err.contains("not signed in at http://127.0.0.1:1"), "{}", stranger.err);
    let nowhere = ask(&["login", "ann", "--password-stdin", "--backend-url", "http://127.0.0.1:1"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("--identity-url"), "{}", nowhere.err);
}

#[test]
fn a_server_that_is_not_there_has_a_code_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let Said { code, err, .. } = run(&mut tasker(home.path(), ["list"]));
    assert_eq!(code, 9);
    assert!(err.contains("start one with `tasker up`"), "{err}");

    let (home, _) = Up::start().stop();
    let Said { code, err, .. } = run(&mut tasker(home.path(), ["list"]));
    assert_eq!(code, 9);
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
    assert_eq!(list("nonsense").code, 4);

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

/// Each measurement ends with its books, and a task that did not end as it should is an error.
#[test]
fn a_server_is_loaded_and_its_books_are_checked() {
    let up = Up::start_with(&["worker.slots=64"]);
    let bench = |arguments: &[&str]| {
        let said = up.ask([&["bench"], arguments, &["--duration", "500ms", "-o", "json"]].concat());
        let report: serde_json::Value = serde_json::from_str(&said.out).expect("a report");
        (said.code, report)
    };
    for arguments in
        [&["submit", "--concurrency", "4"][..], &["run", "--concurrency", "4"], &["run", "--rate", "50"]]
    {
        let (code, report) = bench(arguments);
        assert_eq!(code, 0, "{report}");
        assert!(report["times"]["p99"].as_f64().unwrap() > 0.0, "{report}");
        assert_eq!(
            report["reconciliation"]["accepted"], report["reconciliation"]["ends"]["FINISHED"],
            "{report}"
        );
    }
    let (code, report) = bench(&["ttl", "--concurrency", "8", "--ttl", "100ms"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(
        report["reconciliation"]["accepted"], report["reconciliation"]["ends"]["TTL_EXPIRED"],
        "{report}"
    );
    let late = ["run", "--type", "SLEEP", "--parameters", r#"{"ms": 60000}"#, "--ttl", "100ms"];
    let (code, report) = bench(&late);
    assert_eq!((code, &report["complete"]), (1, &true.into()), "none is lost, and they were to finish");
    let told = up.ask([&["bench"], &late[..], &["--duration", "100ms"]].concat()).out;
    assert!(told.contains(" TTL_EXPIRED: nothing was lost, "), "{told}");
    let table = up.ask(["bench", "run", "--duration", "300ms"]).out;
    assert!(table.contains("until ended, ms: p50") && table.contains(" FINISHED"), "{table}");
    assert_eq!(up.ask(["bench", "run", "--type", "NONE"]).code, 1);
    assert_eq!(up.ask(["bench", "run", "--concurrency", "0"]).code, 2);
}

/// What an administrator does with the accounts of others.
#[tokio::test]
async fn an_administrator_looks_after_accounts() {
    let up = Up::start();
    let refused = up.ask(["user", "list"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("wants a person's token with the role Admin"), "{}", refused.err);
    let admin = Person::administrator(&up.addresses(), &up.setup, "root").await;
    let ask = |arguments: &[&str], typed: &str| {
        let mut command = tasker(up.home(), arguments.iter().copied());
        run_with(command.env("TASKER_TOKEN", admin.token()), typed)
    };
    let made = ask(&["user", "add", "ann", "--role", "worker"], "");
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.out.contains("password  "), "{}", made.out);
    assert_eq!(
        ask(&["user", "add", "bob", "--password-stdin", "-o", "id"], "seven-green-herons\n").out,
        "bob"
    );
    let again = ask(&["user", "add", "bob"], "");
    assert_eq!(again.code, 1);
    assert!(again.err.contains("there is an account of that name"), "{}", again.err);
    assert_eq!(ask(&["user", "list", "-o", "id"], "").out, "ann\nbob\nlocal\nroot");
    assert_eq!(ask(&["user", "disable", "bob"], "").code, 0);
    let list = ask(&["user", "list"], "").out;
    assert!(list.contains("bob    User    admin       disabled"), "{list}");
    assert!(list.contains("ann    Worker  admin"), "{list}");
    assert_eq!(ask(&["user", "enable", "bob"], "").code, 0);
    assert_eq!(ask(&["user", "role", "bob", "admin"], "").code, 0);
    let reset: serde_json::Value =
        serde_json::from_str(&ask(&["user", "reset", "bob", "-o", "json"], "").out).unwrap();
    assert!(reset["password"].is_string(), "{reset}");
    let nobody = ask(&["user", "reset", "nobody"], "");
    assert_eq!(nobody.code, 8);
    assert!(nobody.err.contains("hint: `tasker user list`"), "{}", nobody.err);
    let invited = ask(&["invite", "--role", "worker"], "");
    assert!(invited.out.contains("/Auth/Register?ReturnUrl=Login&invitation="), "{}", invited.out);
    // Only one who has no other beside him is the last.
    assert_eq!(ask(&["user", "disable", "bob"], "").code, 0);
    let alone = ask(&["user", "role", "root", "user"], "");
    assert_eq!(alone.code, 1);
    assert!(alone.err.contains("this is the last administrator"), "{}", alone.err);
}
