//! The commands about accounts: login and logout, tokens from the environment, and what only administrators may do.

use std::os::unix::fs::PermissionsExt;

use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::command::{run, run_with_input, tasker_command};
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::wait_until;

/// Only the owner may read the session file; the session takes precedence over the local account of the directory.
#[tokio::test]
async fn a_session_lasts_from_login_to_logout() {
    let up = TaskerUp::start();
    ApiClient::register(&up.urls(), "ann").await;
    let state = tempfile::tempdir().unwrap();
    let run_client = |arguments: &[&str], input: &str| {
        let mut command = tasker_command(up.home(), arguments.iter().copied());
        run_with_input(command.env("XDG_STATE_HOME", state.path()), input)
    };
    assert!(run_client(&["whoami"], "").stdout.starts_with("local (User) at http://127.0.0.1:"));
    let wrong = run_client(&["login", "ann", "--password-stdin"], "no such password\n");
    assert_eq!(wrong.code, 4, "{}", wrong.stderr);
    let signed_in = run_client(&["login", "ann", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(signed_in.code, 0, "{}", signed_in.stderr);
    let session = state.path().join("tasker/session.json");
    assert_eq!(std::fs::metadata(&session).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&session).unwrap().contains(PASSWORD));

    let elsewhere = tempfile::tempdir().unwrap();
    let list = ["whoami", "-o", "json"];
    let who = run(tasker_command(elsewhere.path(), list).env("XDG_STATE_HOME", state.path()));
    let who: serde_json::Value = serde_json::from_str(&who.stdout).unwrap();
    assert_eq!((&who["name"], &who["backend"]), (&"ann".into(), &up.backend_url.as_str().into()));
    // A directory on the command line takes precedence over the session.
    assert_eq!(run_client(&["whoami", "--data-dir", ".tasker", "-o", "id"], "").stdout, "local");

    let text = std::fs::read_to_string(&session).unwrap();
    let ended = text.replace(r#""expires_at": "20"#, r#""expires_at": "19"#);
    std::fs::write(&session, ended).unwrap();
    let ended = run_client(&["list"], "");
    assert_eq!(ended.code, 4);
    assert!(
        ended.stderr.contains("the sign-in of ann has expired: use `tasker login` again"),
        "{}",
        ended.stderr
    );
    assert_eq!(run_client(&["logout"], "").stderr, "signed out");
    assert_eq!(run_client(&["whoami", "-o", "id"], "").stdout, "local");
    assert_eq!(run_client(&["logout"], "").stderr, "nobody was signed in");
}

#[tokio::test]
async fn only_administrators_see_the_workers() {
    let up = TaskerUp::start();
    let refused = up.run_command(["workers"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("hint: `tasker whoami` shows the roles"), "{}", refused.stderr);
    let admin = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
    let workers = run(tasker_command(up.home(), ["workers"]).env("TASKER_TOKEN", admin.token()));
    assert_eq!(workers.code, 0, "{}", workers.stderr);
    assert!(
        workers.stdout.contains("8 slots") && workers.stdout.contains("ECHO GENERATE_LOGIN"),
        "{}",
        workers.stdout
    );
}

#[tokio::test]
async fn a_token_may_come_from_the_environment_and_an_invalid_one_is_denied() {
    let up = TaskerUp::start();
    let elsewhere = tempfile::tempdir().unwrap();
    let list = |token: &str| {
        let list = ["list", "--backend-url", &up.backend_url, "-o", "json"];
        run(tasker_command(elsewhere.path(), list).env("TASKER_TOKEN", token))
    };
    assert_eq!(list("nonsense").code, 4);

    let ann = ApiClient::register(&up.urls(), "ann").await;
    let listed = list(ann.token());
    assert_eq!((listed.code, listed.stdout.as_str()), (0, r#"{"tasks":[]}"#), "{}", listed.stderr);
}

#[tokio::test]
async fn an_administrator_manages_accounts() {
    let up = TaskerUp::start();
    let refused = up.run_command(["user", "list"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("the token must be that of an account with the role Admin"),
        "{}",
        refused.stderr
    );
    let admin = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
    let run_client = |arguments: &[&str], input: &str| {
        let mut command = tasker_command(up.home(), arguments.iter().copied());
        run_with_input(command.env("TASKER_TOKEN", admin.token()), input)
    };
    let made = run_client(&["user", "add", "ann", "--role", "worker"], "");
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains("password  "), "{}", made.stdout);
    assert_eq!(
        run_client(&["user", "add", "bob", "--password-stdin", "-o", "id"], &format!("{PASSWORD}\n")).stdout,
        "bob"
    );
    let again = run_client(&["user", "add", "bob"], "");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("there is already an account with this name"), "{}", again.stderr);
    assert_eq!(run_client(&["user", "list", "-o", "id"], "").stdout, "ann\nbob\nlocal\nroot");
    assert_eq!(run_client(&["user", "disable", "bob"], "").code, 0);
    let list = run_client(&["user", "list"], "").stdout;
    assert!(list.contains("bob    User    admin       disabled"), "{list}");
    assert!(list.contains("ann    Worker  admin"), "{list}");
    assert_eq!(run_client(&["user", "enable", "bob"], "").code, 0);
    assert_eq!(run_client(&["user", "role", "bob", "admin"], "").code, 0);
    let reset: serde_json::Value =
        serde_json::from_str(&run_client(&["user", "reset", "bob", "-o", "json"], "").stdout).unwrap();
    assert!(reset["password"].is_string(), "{reset}");
    assert_eq!(run_client(&["user", "unlock", "bob"], "").stderr, "bob is unlocked");
    let on_server = ["user", "unlock", "BOB", "--on-server", "--set", "database.url=sqlite:.tasker/tasks.db"];
    let on_server = run(&mut tasker_command(up.home(), on_server));
    assert_eq!((on_server.code, on_server.stderr.as_str()), (0, "BOB is unlocked"));
    let nobody = run_client(&["user", "reset", "nobody"], "");
    assert_eq!(nobody.code, 8);
    assert!(nobody.stderr.contains("hint: `tasker user list`"), "{}", nobody.stderr);
    let invited = run_client(&["invite", "--role", "worker"], "");
    assert!(invited.stdout.contains("/Auth/Register?ReturnUrl=Login&invitation="), "{}", invited.stdout);
    // A disabled administrator does not count: root is the last one now.
    assert_eq!(run_client(&["user", "disable", "bob"], "").code, 0);
    let alone = run_client(&["user", "role", "root", "user"], "");
    assert_eq!(alone.code, 1);
    assert!(alone.stderr.contains("this is the last administrator"), "{}", alone.stderr);
}

#[tokio::test]
async fn a_deletion_is_confirmed_on_a_terminal_or_by_an_option() {
    let up = TaskerUp::start();
    let admin = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
    let ann = ApiClient::register(&up.urls(), "ann").await;
    let id = ann.submit("ECHO", serde_json::json!(1), 60_000).await;
    let run_client = |arguments: &[&str]| {
        run(tasker_command(up.home(), arguments.iter().copied()).env("TASKER_TOKEN", admin.token()))
    };
    let unasked = run_client(&["user", "delete", "ann"]);
    assert_eq!(unasked.code, 2);
    assert!(unasked.stderr.contains("without one use --yes"), "{}", unasked.stderr);
    let answer = |answer: &str| {
        let path = std::path::Path::new(env!("CARGO_BIN_EXE_tasker")).parent().unwrap();
        let mut script = std::process::Command::new("script");
        let arguments = ["--quiet", "--return", "--command", "tasker user delete ann", "/dev/null"];
        let script = script.args(arguments).current_dir(up.home()).env_clear();
        let script = script.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
        run_with_input(script.env("TERM", "xterm").env("TASKER_TOKEN", admin.token()), answer).stdout
    };
    assert!(answer("n\n").contains("nothing was deleted"));
    assert!(run_client(&["user", "list", "-o", "id"]).stdout.contains("ann"));
    let deleted = answer("y\n");
    assert!(deleted.contains("Delete the account ann?") && deleted.contains("ann is deleted"), "{deleted}");
    assert_eq!(run_client(&["user", "delete", "ann", "--yes"]).code, 8);
    let last = run_client(&["user", "delete", "root", "--yes"]);
    assert!(last.code == 1 && last.stderr.contains("this is the last administrator"), "{}", last.stderr);
    let suggested = run_client(&["user", "delate", "root"]);
    assert!(suggested.code == 2 && !suggested.stderr.contains("similar"), "{}", suggested.stderr);

    let heir = ApiClient::register(&up.urls(), "ann").await;
    let tasks = run(tasker_command(up.home(), ["list", "-o", "id"]).env("TASKER_TOKEN", heir.token()));
    assert_eq!((tasks.code, tasks.stdout.as_str()), (0, ""), "{id} is not the new account's");
}

#[tokio::test]
async fn people_change_their_own_password_and_stay_signed_in() {
    const NEW: &str = "nine blue kettles";
    let up = TaskerUp::start();
    ApiClient::register(&up.urls(), "ann").await;
    let state = tempfile::tempdir().unwrap();
    let run_client = |arguments: &[&str], input: &str| {
        let mut command = tasker_command(up.home(), arguments.iter().copied());
        run_with_input(command.env("XDG_STATE_HOME", state.path()), input)
    };
    let local = run_client(&["passwd", "--password-stdin"], "a\nb\n");
    assert!(local.code == 2 && local.stderr.contains("`tasker login`"), "{}", local.stderr);
    run_client(&["login", "ann", "--password-stdin"], &format!("{PASSWORD}\n"));
    let wrong = run_client(&["passwd", "--password-stdin"], &format!("a guess\n{NEW}\n"));
    assert!(wrong.code == 1 && wrong.stderr.contains("not the current password"), "{}", wrong.stderr);
    let short = run_client(&["passwd", "--password-stdin"], &format!("{PASSWORD}\n"));
    assert_eq!(short.code, 2, "{}", short.stderr);
    let changed = run_client(&["passwd", "--password-stdin"], &format!("{PASSWORD}\n{NEW}\n"));
    assert_eq!(changed.code, 0, "{}", changed.stderr);
    assert_eq!(run_client(&["whoami", "-o", "id"], "").stdout, "ann");
    run_client(&["logout"], "");
    assert_eq!(run_client(&["login", "ann", "--password-stdin"], &format!("{PASSWORD}\n")).code, 4);
    assert_eq!(run_client(&["login", "ann", "--password-stdin"], &format!("{NEW}\n")).code, 0);
}

/// The Backend learns of it from Identity; nobody tells it directly.
#[tokio::test]
async fn a_token_from_before_a_password_reset_is_refused_by_both_services() {
    let up = TaskerUp::start();
    let admin = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
    let ann = ApiClient::register(&up.urls(), "ann").await;
    let run_as = |token: &str, arguments: &[&str]| {
        run(tasker_command(up.home(), arguments.iter().copied()).env("TASKER_TOKEN", token))
    };
    assert_eq!(run_as(ann.token(), &["list"]).code, 0);
    assert_eq!(run_as(admin.token(), &["user", "reset", "ann"]).code, 0);
    let userinfo = up.urls().http_client().get(format!("{}/connect/userinfo", up.identity_url));
    let userinfo = userinfo.bearer_auth(ann.token()).send().await.expect("Identity answers");
    assert_eq!(userinfo.status(), 401, "Identity refuses it at once");
    assert_eq!(run_as(ann.token(), &["whoami"]).code, 4);
    wait_until("the Backend refuses it", async || run_as(ann.token(), &["list"]).code == 4).await;
    assert_eq!(run_as(admin.token(), &["list"]).code, 0);
}
