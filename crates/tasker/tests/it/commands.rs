//! The commands about tasks and operations, against a `tasker up`: their output and their exit codes.

use crate::kit::command::{CommandOutput, run, tasker_command};
use crate::kit::process::Process;
use crate::kit::tasker_up::TaskerUp;

/// The id of no task.
const UNKNOWN_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn a_task_is_submitted_waited_for_listed_and_read() {
    let up = TaskerUp::start();
    assert!(up.run_command(["list"]).stderr.contains("no tasks yet"));

    let login = up.run_command(["submit", "GENERATE_LOGIN", r#"{"length": 12}"#, "--ttl", "30s", "--wait"]);
    assert_eq!(login.code, 0, "{}", login.stderr);
    assert_eq!(login.stdout.len(), "\"twelvelength\"".len());

    let list = up.run_command(["list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list["tasks"][0]["status"], "FINISHED");
    let id = list["tasks"][0]["id"].as_str().unwrap();
    assert!(up.run_command(["list"]).stdout.contains(&format!("{id}  FINISHED   GENERATE_LOGIN")));
    assert!(up.run_command(["get", id]).stdout.contains(r#"parameters  {"length": 12}"#));
    assert_eq!(up.run_command(["result", id]).stdout, login.stdout);
    assert_eq!(
        up.run_command(["result", id, "-o", "json"]).stdout,
        format!(r#"{{"result":{}}}"#, login.stdout)
    );
}

#[test]
fn json_output_has_the_task_and_its_result() {
    let up = TaskerUp::start();
    let ended = up.run_command(["submit", "GENERATE_NUMBER", "--ttl", "30s", "--wait", "-o", "json"]);
    let ended: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended["status"], "FINISHED");
    assert!(ended["result"].is_u64(), "{ended}");
}

#[test]
fn a_submission_with_a_key_may_be_repeated() {
    let up = TaskerUp::start();
    let submit = ["submit", "ECHO", "1", "--ttl", "30s", "--idempotency-key", "order 17"];
    let first = up.run_command(submit);
    assert_eq!((first.code, first.stdout.len()), (0, 36), "{}", first.stderr);
    assert_eq!(up.run_command(submit).stdout, first.stdout);
    let other = up.run_command(["submit", "ECHO", "2", "--ttl", "30s", "--idempotency-key", "order 17"]);
    assert_eq!(other.code, 1);
    assert!(other.stderr.contains("a key is for one request"), "{}", other.stderr);
    assert_eq!(up.run_command(["list", "-o", "id"]).stdout, first.stdout);
    assert_eq!(up.run_command(["submit", "ECHO", "--idempotency-key", "é"]).code, 2);
}

#[test]
fn a_task_is_submitted_again() {
    let up = TaskerUp::start();
    let id = up.run_command(["submit", "ECHO", "[1]", "--ttl", "30s"]).stdout;
    let rerun = up.run_command(["rerun", &id[..18], "--wait"]);
    assert_eq!((rerun.code, rerun.stdout.as_str()), (0, "[1]"), "{}", rerun.stderr);
    let again = up.run_command(["rerun", &id, "--idempotency-key", "r"]).stdout;
    assert_eq!(up.run_command(["rerun", &id, "--idempotency-key", "r"]).stdout, again);
    assert!(up.run_command(["get", &again]).stdout.contains(&format!("rerun of    {id}")));
    assert_eq!(up.run_command(["list", "-o", "id"]).stdout.lines().count(), 3);
}

#[test]
fn the_tasks_of_a_file_are_submitted() {
    let up = TaskerUp::start();
    let file = up.home().join("tasks.jsonl");
    let lines = "{\"type\": \"ECHO\", \"ttl\": 30000}\n".repeat(1001);
    std::fs::write(&file, format!("{lines}\n{{\"type\": \"GENERATE_LOGIN\", \"ttl\": 30000}}\n")).unwrap();
    let path = file.to_str().unwrap();
    let submit = ["submit", "--batch", path, "--idempotency-key", "import"];
    let submitted = up.run_command(submit);
    assert_eq!((submitted.code, submitted.stdout.lines().count()), (0, 1002), "{}", submitted.stderr);
    let last = submitted.stdout.lines().last().unwrap();
    assert!(up.run_command(["get", last]).stdout.contains("GENERATE_LOGIN"));
    assert_eq!(up.run_command(submit).stdout, submitted.stdout, "repeated, it submits nothing");
    let json = up.run_command([&submit[..], &["-o", "json"]].concat()).stdout;
    assert_eq!(json.lines().count(), 2, "one line for each request");

    std::fs::write(&file, format!("{lines}{{\"type\": \"ECHO\", \"ttl\": 0}}\n")).unwrap();
    let refused = up.run_command(["submit", "--batch", path]);
    assert_eq!((refused.code, refused.stdout.lines().count()), (1, 1000), "{}", refused.stderr);
    assert!(refused.stderr.contains("1000 tasks are submitted; of line 1001 and those after it none is"));
    assert!(refused.stderr.contains("line 1002, /ttl: ttl is 0 ms"), "{}", refused.stderr);
    std::fs::write(&file, "{\n").unwrap();
    let broken = up.run_command(["submit", "--batch", path]);
    assert!(broken.code == 2 && broken.stderr.contains("line 1 is not JSON"), "{}", broken.stderr);
    for option in [&["ECHO"][..], &["--priority", "1"], &["--label", "a=b"], &["--total-ttl", "1s"]] {
        assert_eq!(up.run_command([&["submit", "--batch", path][..], option].concat()).code, 2, "{option:?}");
    }
}

#[test]
fn a_submission_waits_for_other_tasks_and_takes_their_results() {
    let up = TaskerUp::start();
    let first = up.run_command(["submit", "ECHO", "[1]", "--ttl", "30s"]).stdout;
    let source = format!("first={first}");
    let submit =
        ["submit", "ECHO", r#"{"second": 2}"#, "--ttl", "30s", "--wait", "--parameter-from", &source];
    assert_eq!(up.run_command(submit).stdout, r#"{"second": 2,"first":[1]}"#);

    for (option, value) in [("--parameter-from", source.as_str()), ("--label", "first=1")] {
        let twice = up.run_command(["submit", "ECHO", "--ttl", "30s", option, value, option, value]);
        assert_eq!(twice.code, 2, "{}", twice.stderr);
        assert!(twice.stderr.contains(&format!("{option}: first is given twice")), "{}", twice.stderr);
    }
    let sleep = up.run_command(["submit", "SLEEP", r#"{"ms": 3600000}"#, "--ttl", "1s"]).stdout;
    let failed = up.run_command(["submit", "ECHO", "--ttl", "30s", "--after", &sleep, "--wait"]);
    assert_eq!(failed.code, 5, "{}", failed.stderr);
    assert!(failed.stderr.contains("DEPENDENCY_FAILED"), "{}", failed.stderr);
}

#[test]
fn every_end_without_a_result_has_its_own_exit_code() {
    let up = TaskerUp::start();
    let expired = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "300ms", "--wait"]);
    assert_eq!((expired.code, expired.stdout.as_str()), (6, ""), "{}", expired.stderr);
    assert!(expired.stderr.contains("was cancelled: TTL_EXPIRED"), "{}", expired.stderr);

    let id = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).stdout;
    let early = up.run_command(["result", &id]);
    assert_eq!(early.code, 3, "{}", early.stderr);
    assert!(early.stderr.contains("hint: `tasker watch ID`"), "{}", early.stderr);
    let cancelled = up.run_command(["cancel", &id]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.stderr);
    assert!(cancelled.stdout.contains("reason      REQUESTED"), "{}", cancelled.stdout);
    assert_eq!(up.run_command(["result", &id]).code, 7);
    assert_eq!(up.run_command(["watch", &id]).code, 7);
    assert_eq!(up.run_command(["cancel", &id]).code, 0, "the task is cancelled already");
    let expired = up.run_command(["list", "-o", "id"]).stdout.lines().last().unwrap().to_owned();
    assert_eq!(up.run_command(["cancel", &expired]).code, 6);
}

#[test]
fn a_wait_that_times_out_does_not_cancel_the_task() {
    let up = TaskerUp::start();
    let submit_sleep = ["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s", "--wait=300ms"];
    let timed_out = up.run_command(submit_sleep);
    assert_eq!((timed_out.code, timed_out.stdout.as_str()), (3, ""), "{}", timed_out.stderr);
    let (_, id) =
        timed_out.stderr.split_once("tasker watch ").expect("the output names the command to wait again");
    assert!(up.run_command(["get", id]).stdout.contains("status      RUNNING"));
    let output = up.run_command([&submit_sleep[..], &["-o", "id"]].concat());
    assert!(output.code == 3 && up.run_command(["get", &output.stdout]).code == 0, "{output:?}");
    let output = up.run_command([&submit_sleep[..], &["-o", "json"]].concat());
    let task: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (output.code, &task["status"], &task["ttl"]),
        (3, &"RUNNING".into(), &60_000.into()),
        "{task}"
    );
    assert!(output.stderr.starts_with(&format!("submitted {}", task["id"].as_str().unwrap())), "{output:?}");
    let lines =
        up.run_command(["submit", "ECHO", "{\"a\":\n1}", "--ttl", "30s", "--wait", "-o", "json"]).stdout;
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[test]
fn a_task_is_named_by_the_first_characters_of_its_id() {
    let up = TaskerUp::start();
    let id = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).stdout;
    let prefix = &id[..9];
    assert!(up.run_command(["get", prefix]).stdout.contains(&id));
    assert_eq!(up.run_command(["cancel", prefix]).code, 0);
    assert!(up.run_command(["watch", prefix]).stderr.contains("REQUESTED"));
    let absent = up.run_command(["get", "0000"]);
    assert_eq!(absent.code, 8, "{}", absent.stderr);
    assert!(absent.stderr.contains("no task's id begins with 0000"), "{}", absent.stderr);
    up.run_command(["submit", "ECHO", "--ttl", "60s"]);
    let several = up.run_command(["cancel", &id[..4]]);
    assert_eq!(several.code, 2, "{}", several.stderr);
    assert!(several.stderr.contains("give more characters"), "{}", several.stderr);
}

#[test]
fn no_command_that_ends_something_is_suggested() {
    let up = TaskerUp::start();
    for arguments in [["user", "delete", "ann"], ["user", "rest", "ann"], ["cancle", "0000", "-o=id"]] {
        let refused = up.run_command(arguments);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        let (reset, cancel) = (refused.stderr.contains("'reset'"), refused.stderr.contains("'cancel'"));
        assert!(!reset && !cancel, "{}", refused.stderr);
    }
    assert!(up.run_command(["user", "lst"]).stderr.contains("'list'"));
}

#[test]
fn an_error_says_a_thing_once() {
    let up = TaskerUp::start();
    let absent = up.run_command(["get", UNKNOWN_ID]);
    assert!(absent.stderr.starts_with("error: there is no such task\n"), "{}", absent.stderr);
}

#[test]
fn a_misspelled_option_is_named_with_the_similar_one() {
    let up = TaskerUp::start();
    for arguments in [
        ["submit", "ECHO", "--tll", "5s"],
        ["submit", "ECHO", "{}", "--tll=5s"],
        ["list", "--limt", "5", "--before=x"],
        ["watch", "--data-dri", ".", "-o=id"],
    ] {
        let refused = up.run_command(arguments);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        let option = arguments.iter().find(|argument| argument.starts_with("--")).unwrap();
        let option = option.split('=').next().unwrap();
        assert!(refused.stderr.contains(&format!("unexpected argument '{option}'")), "{}", refused.stderr);
        assert!(refused.stderr.contains("a similar argument exists"), "{}", refused.stderr);
    }
    let negative = up.run_command(["submit", "ECHO", "-5", "--ttl", "30s", "--wait"]);
    assert_eq!((negative.code, negative.stdout.as_str()), (0, "-5"), "{}", negative.stderr);
}

/// Runs a command in a pseudo-terminal of its own (`script` of util-linux), in the directory of `up`.
fn run_in_terminal(up: &TaskerUp, command: &str) -> CommandOutput {
    let path =
        std::path::Path::new(env!("CARGO_BIN_EXE_tasker")).parent().expect("the binary is in a directory");
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--return", "--command", command, "/dev/null"]).current_dir(up.home());
    script.env_clear().env("PATH", format!("{}:/usr/bin:/bin", path.display())).env("TERM", "xterm");
    run(script.env("XDG_STATE_HOME", up.home().join("state")))
}

#[test]
fn on_a_terminal_there_are_a_progress_bar_and_coloured_statuses() {
    let up = TaskerUp::start();
    let run_in_terminal = |command: &str| run_in_terminal(&up, command);
    let waited = run_in_terminal(r#"tasker submit SLEEP '{"ms": 1500}' --ttl 3s --wait"#);
    assert_eq!(waited.code, 0, "{}", waited.stdout);
    assert!(
        waited.stdout.contains("waiting for a worker") && waited.stdout.contains("█"),
        "{:?}",
        waited.stdout
    );
    assert!(waited.stdout.contains(" of 3 s") && waited.stdout.ends_with("1500"), "{:?}", waited.stdout);
    assert!(run_in_terminal("tasker list").stdout.contains("\u{1b}[32mFINISHED"));
    up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "20ms", "--wait"]);
    let id = up.run_command(["list", "--limit", "1", "-o", "id"]).stdout;
    let at_width = |columns| {
        run_in_terminal(&format!("stty rows 24 columns {columns}; NO_COLOR=1 tasker list --limit 1"))
    };
    assert!(at_width(100).stdout.starts_with(&format!("{id}  CANCELLED")), "{:?}", at_width(100).stdout);
    let narrow = at_width(60).stdout;
    assert!(narrow.starts_with(&format!("{}  CANCELLED", &id[..13])), "{narrow:?}");
    assert!(!run_in_terminal("NO_COLOR=1 tasker list").stdout.contains('\u{1b}'));
}

/// The command waits for less than a second, and a free worker starts the task at once.
#[test]
fn the_progress_bar_follows_the_task_from_its_first_second() {
    let up = TaskerUp::start();
    let waited = run_in_terminal(&up, r#"tasker submit SLEEP '{"ms": 60000}' --ttl 60s --wait=900ms"#);
    assert_eq!(waited.code, 3, "{}", waited.stdout);
    let frames = waited.stdout.matches(" of 60 s").count();
    assert!(frames > 2, "{frames} frames show the running task: {:?}", waited.stdout);
}

/// A task that has run for half a minute when the command begins.
#[test]
fn the_progress_bar_of_watch_begins_where_the_task_is() {
    let up = TaskerUp::start();
    let id = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).stdout;
    let wait = run_in_terminal(&up, &format!("timeout --foreground --signal=INT 2 tasker watch {id}"));
    assert!(wait.stdout.contains(" of 60 s"), "the task has started: {:?}", wait.stdout);
    let earlier = "update unfinished_task set started_at = started_at - 30000000, due_at = due_at - 30000000";
    let update = format!("sqlite3 -cmd '.timeout 5000' .tasker/tasks.db '{earlier}'");
    let wait =
        run_in_terminal(&up, &format!("{update}; timeout --foreground --signal=INT 2 tasker watch {id}"));
    let first = wait.stdout.split(" of 60 s").next().unwrap();
    let shown: f64 = first.rsplit(' ').next().unwrap().parse().expect("the seconds since the start");
    assert!(shown >= 29.0, "{:?}", wait.stdout);
}

/// Of a sign-in and a `tasker up` in this directory the first counts, which a person may not expect.
#[test]
fn on_a_terminal_a_command_says_as_whom_it_acts_if_there_is_a_choice() {
    let up = TaskerUp::start();
    assert!(!run_in_terminal(&up, "tasker list").stdout.contains("acting as"));
    let account = "curl -s -o /dev/null $URL/Auth/Register -d Username=ann -d Password=seven-green-herons \
        -d ConfirmPassword=seven-green-herons";
    let login = "echo seven-green-herons | tasker login ann --password-stdin";
    let (backend, identity) = (&up.backend_url, &up.identity_url);
    let signed_in = run_in_terminal(&up, &format!("URL={identity}; {account}; {login}"));
    assert!(signed_in.stdout.contains(&format!("signed in as ann at {backend}")), "{}", signed_in.stdout);
    let note =
        format!("acting as ann at {backend}, as signed in; --data-dir ./.tasker acts as local at {backend}");
    assert!(run_in_terminal(&up, "tasker list").stdout.starts_with(&note));
    for command in ["tasker list --data-dir .tasker", "cd /; tasker list", "tasker list 2>&1 | cat"] {
        let shown = run_in_terminal(&up, command).stdout;
        assert!(!shown.contains("acting as"), "{command}: {shown}");
    }
}

#[test]
fn ctrl_c_ends_the_wait_but_not_the_task() {
    let up = TaskerUp::start();
    let id = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).stdout;
    let mut watch = Process::start(&mut tasker_command(up.home(), ["watch", &id]));
    watch.wait_for_sigint_handler();
    watch.signal("INT");
    assert_eq!(watch.wait_for_exit().code(), Some(130), "{:?}", watch.output());
    let output =
        format!("{id} continues; to wait again: tasker watch {id}; to cancel it: tasker cancel {id}");
    assert!(watch.output().contains(&output), "{:?}", watch.output());
    assert!(up.run_command(["get", &id]).stdout.contains("status      RUNNING"));
}

#[test]
fn watch_without_an_id_prints_the_ends_of_tasks() {
    let up = TaskerUp::start();
    let mut watch = Process::start(&mut tasker_command(up.home(), ["watch"]));
    let id = up.run_command(["submit", "ECHO", "--ttl", "60s", "--wait", "-o", "id"]).stdout;
    watch.wait_for_line(&format!("{id}  FINISHED   ECHO"));
    watch.signal("INT");
    assert_eq!(watch.wait_for_exit().code(), Some(0));
}

#[test]
fn watch_prints_each_event_as_json_with_the_progress() {
    let up = TaskerUp::start();
    let mut watch = Process::start(&mut tasker_command(up.home(), ["watch", "-o", "json"]));
    let id = up.run_command(["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]).stdout;
    let progress = watch.wait_for_line(r#"{"event":"progress","#);
    assert!(progress.contains(&id) && progress.contains(r#""progress":{"percent":"#), "{progress}");
    let task = up.run_command(["get", &id]).stdout;
    assert!(task.contains("progress    ") && task.contains(" %, sleeping"), "{task}");
    assert_eq!(up.run_command(["cancel", &id]).code, 0);
    let ended = watch.wait_for_line(r#"{"event":"ended","#);
    assert!(ended.contains(&id) && ended.contains(r#""reason":"REQUESTED""#), "{ended}");
    watch.signal("INT");
    assert_eq!(watch.wait_for_exit().code(), Some(0));
}

#[test]
fn the_progress_bar_shows_what_the_operation_reports() {
    let up = TaskerUp::start();
    let bar = run_in_terminal(&up, r#"tasker submit SLEEP '{"ms": 2500}' --ttl 60s --wait"#).stdout;
    assert!(bar.contains(" %, sleeping"), "{bar}");
}

#[test]
fn a_closed_pipe_ends_watch() {
    let up = TaskerUp::start();
    up.run_command(["submit", "ECHO", "--ttl", "60s", "--wait"]);
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_tasker")).parent().unwrap();
    let mut shell = std::process::Command::new("bash");
    let script = r#"tasker watch | head -1; echo "${PIPESTATUS[0]}""#;
    // `watch` notices the closed pipe when it writes the next line, so more tasks must end.
    let more = "(while tasker submit ECHO --ttl 60s; do :; done) >/dev/null 2>&1 & ";
    shell.args(["-c", &format!("{more}{script}; kill %1")]).current_dir(up.home());
    let output = run(shell.env_clear().env("PATH", format!("{}:/usr/bin:/bin", path.display())));
    assert!(output.stdout.contains("FINISHED") && output.stdout.ends_with("\n0"), "{output:?}");
}

#[test]
fn id_output_has_one_id_a_line() {
    let up = TaskerUp::start();
    let id = up.run_command(["submit", "ECHO", "--ttl", "60s", "-o", "id"]).stdout;
    assert_eq!(up.run_command(["list", "-o", "id"]).stdout, id);
    assert_eq!(up.run_command(["get", &id, "-o", "id"]).stdout, id);
    assert_eq!(up.run_command(["whoami", "-o", "id"]).stdout, "local");
    assert_eq!(
        up.run_command(["operations", "-o", "id"]).stdout,
        "ECHO\nGENERATE_LOGIN\nGENERATE_NUMBER\nSLEEP"
    );
}

#[test]
fn operations_are_listed_and_shown_with_their_schemas() {
    let up = TaskerUp::start();
    let all = up.run_command(["operations"]).stdout;
    assert!(all.contains("GENERATE_LOGIN   v1    Generates a login: random letters and digits"), "{all}");
    let one = up.run_command(["operations", "GENERATE_NUMBER"]).stdout;
    assert!(one.contains("about       Generates a random number"), "{one}");
    assert!(one.contains("isolation   async") && one.contains(r#""maximum": 18"#), "{one}");
    let none = up.run_command(["operations", "NONE"]);
    assert_eq!(none.code, 8);
    assert!(none.stderr.contains("there is no operation NONE"), "{}", none.stderr);
}

#[test]
fn completions_are_printed_for_every_shell() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&mut tasker_command(home.path(), ["completions", shell]));
        assert!(script.code == 0 && script.stdout.contains("whoami"), "{shell}");
    }
}

#[test]
fn a_refused_submission_is_explained_with_the_pointer_to_the_fault() {
    let up = TaskerUp::start();
    let typo = up.run_command(["submit", "GENERATE_LOGNI", "--ttl", "5s"]);
    assert_eq!(typo.code, 1);
    assert!(typo.stderr.contains("GENERATE_LOGIN"), "{}", typo.stderr);
    let parameters = up.run_command(["submit", "GENERATE_LOGIN", r#"{"length": 0}"#, "--ttl", "5s"]);
    assert_eq!(parameters.code, 1);
    assert!(parameters.stderr.contains("\n  /parameters/length: "), "{}", parameters.stderr);
    assert_eq!(up.run_command(["get", UNKNOWN_ID]).code, 8);
}

#[test]
fn an_invalid_command_line_is_refused_before_a_request() {
    let home = tempfile::tempdir().unwrap();
    let run_client = |arguments: &[&str]| run(&mut tasker_command(home.path(), arguments.iter().copied()));
    let ttl = run_client(&["submit", "GENERATE_LOGIN", "--ttl", "5"]);
    assert_eq!(ttl.code, 2);
    assert!(ttl.stderr.contains("500ms, 5s, 2m, 1h or 7d"), "{}", ttl.stderr);
    assert_eq!(run_client(&["submit", "GENERATE_LOGIN", "{length}", "--ttl", "5s"]).code, 2);
    assert_eq!(run_client(&["get", "not-an-id"]).code, 2);
    assert_eq!(run_client(&["submit", "ECHO", "--ttl", "5s", "--wait=soon"]).code, 2);
    let not_signed_in = run_client(&["list", "--backend-url", "http://127.0.0.1:1"]);
    assert_eq!(not_signed_in.code, 4);
    assert!(not_signed_in.stderr.contains("not signed in at http://127.0.0.1:1"), "{}", not_signed_in.stderr);
    let without_identity =
        run_client(&["login", "ann", "--password-stdin", "--backend-url", "http://127.0.0.1:1"]);
    assert_eq!(without_identity.code, 2);
    assert!(without_identity.stderr.contains("--identity-url"), "{}", without_identity.stderr);
}

#[test]
fn an_unreachable_server_has_its_own_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let list = run(&mut tasker_command(home.path(), ["list"]));
    assert_eq!(list.code, 9);
    assert!(list.stderr.contains("start one with `tasker up`"), "{}", list.stderr);

    let nowhere = ["list", "--backend-url", "http://127.0.0.1:1", "--token", "none"];
    let list = run(&mut tasker_command(home.path(), nowhere));
    assert_eq!(list.code, 9);
    assert!(list.stderr.contains("is `tasker up` running?"), "{}", list.stderr);
}

#[test]
fn a_list_is_paged_and_names_the_command_for_the_next_page() {
    let up = TaskerUp::start();
    let ids: Vec<String> =
        (0..3).map(|_| up.run_command(["submit", "ECHO", "--ttl", "30s"]).stdout).collect();
    let newest = up.run_command(["list", "--limit", "2"]);
    assert_eq!(newest.stdout.lines().count(), 2, "{}", newest.stdout);
    assert!(newest.stdout.starts_with(&ids[2]), "{}", newest.stdout);
    let next = format!("tasker list --limit 2 --before {}", ids[1]);
    assert!(newest.stderr.contains(&next), "{}", newest.stderr);
    let rest = up.run_command(["list", "--limit", "2", "--before", &ids[1]]);
    assert!(rest.stdout.starts_with(&ids[0]) && rest.stdout.lines().count() == 1, "{}", rest.stdout);
    assert_eq!(rest.stderr, "", "the last page names no further command");
    let by_prefix = up.run_command(["list", "--limit", "2", "--before", &ids[1][..18], "-o", "id"]);
    assert_eq!(by_prefix.stdout, ids[0], "{}", by_prefix.stderr);
    assert_eq!(up.run_command(["list", "--limit", "0"]).code, 2);
}

#[test]
fn a_list_has_the_tasks_with_a_status_of_a_type_and_of_a_time() {
    let up = TaskerUp::start();
    let id = |arguments: &[&str]| up.run_command([&["submit"], arguments].concat()).stdout;
    let running = id(&["SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s"]);
    let echoes: Vec<String> = (0..3).map(|_| id(&["ECHO", "--ttl", "30s", "--wait", "-o", "id"])).collect();
    let list = |arguments: &[&str]| up.run_command([&["list", "-o", "id"], arguments].concat()).stdout;
    assert_eq!(list(&["--status", "running"]), running);
    assert_eq!(list(&["--status", "FINISHED", "--since", "1h", "--limit", "1"]), echoes[2]);
    assert_eq!(list(&["--type", "SLEEP"]), running);
    assert_eq!(list(&["--type", "SLEEP", "--status", "finished"]), "");
    assert_eq!(list(&["--since", "1h"]).lines().count(), 4);
    assert_eq!(list(&["--since", "1ms"]), "");
    let first =
        up.run_command(["list", "--status", "finished", "--type", "ECHO", "--since", "1h", "--limit", "2"]);
    let (_, next) = first.stderr.split_once("there may be more: tasker ").expect("the next page");
    assert!(next.starts_with("list --status finished --type ECHO --since 1h --limit 2 --before "), "{next}");
    let rest = up.run_command(next.split(' ').chain(["-o", "id"]));
    assert_eq!(rest.stdout, echoes[0], "{}", rest.stderr);
    assert_eq!(up.run_command(["list", "--status", "created"]).stderr, "no such tasks");
    let absent = up.run_command(["list", "--type", "ECO"]);
    assert_eq!(absent.code, 1);
    assert!(absent.stderr.contains("type: there is no type ECO (known: ECHO,"), "{}", absent.stderr);
    for wrong in [["--status", "done"], ["--since", "yesterday"], ["--type", "no type"]] {
        let refused = up.run_command(["list"].into_iter().chain(wrong));
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains(wrong[0]), "{}", refused.stderr);
    }
}
