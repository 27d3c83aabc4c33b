//! The commands about accounts: login and logout, tokens from the environment, and what only administrators may do.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::cluster::{Cluster, ClusterConfig};
use crate::kit::command::{CommandOutput, run, run_with_input, tasker_command};
use crate::kit::process::Process;
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::wait_until;

/// Runs `tasker` in the directory `home`, with one environment variable, the arguments and the standard input.
fn tasker_with<'a>(
    home: &'a Path,
    variable: &'a str,
    value: impl AsRef<OsStr> + 'a,
) -> impl Fn(&[&str], &str) -> CommandOutput + 'a {
    move |arguments, input| {
        run_with_input(tasker_command(home, arguments.iter().copied()).env(variable, &value), input)
    }
}

/// Only the owner may read the session file; the session takes precedence over the local account of the directory.
#[tokio::test]
async fn a_session_lasts_from_login_to_logout() {
    let up = TaskerUp::start();
    ApiClient::register(&up.urls(), "ann").await;
    let state = tempfile::tempdir().unwrap();
    let run_client = tasker_with(up.home(), "XDG_STATE_HOME", state.path());
    let who_is = |name: &str, from: &str| {
        let (backend, issuer) = (&up.backend_url, &up.identity_url);
        format!("name     {name}\nroles    User\nBackend  {backend}\nissuer   {issuer}\nfrom     {from}")
    };
    assert_eq!(run_client(&["whoami"], "").stdout, who_is("local", "the data directory ./.tasker"));
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
    assert_eq!(who["source"], "tasker login");
    let shown = run_client(&["whoami"], "");
    assert_eq!((shown.stdout, shown.stderr), (who_is("ann", "tasker login"), String::new()));
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
    // The Backend names the Identity of the token.
    let whoami = ["whoami", "--backend-url", &up.backend_url];
    let whoami = run(tasker_command(elsewhere.path(), whoami).env("TASKER_TOKEN", ann.token()));
    assert!(whoami.stdout.starts_with("name     ann\n"), "{whoami:?}");
    assert!(whoami.stdout.ends_with("\nfrom     TASKER_TOKEN"), "{whoami:?}");
    let option = run(&mut tasker_command(up.home(), ["whoami", "--token", ann.token()]));
    assert!(option.stdout.ends_with("\nfrom     --token"), "{option:?}");
}

/// Every Backend that names the issuer of the sign-in as its own gets its token, whatever the address; no other does.
#[tokio::test]
async fn a_sign_in_counts_for_every_backend_of_its_issuer() {
    let config = ClusterConfig { backends: 2, workers: 1, slots: 2, ..ClusterConfig::default() };
    let (cluster, other) = (Cluster::start_with(config).await, TaskerUp::start());
    let (urls, second) = (cluster.urls(), cluster.urls_of_backend(1).backend);
    ApiClient::register(&urls, "ann").await;
    let home = tempfile::tempdir().unwrap();
    let run_client = tasker_with(home.path(), "XDG_STATE_HOME", home.path());
    let addresses = ["--backend-url", &urls.backend, "--identity-url", &urls.identity];
    let signed_in = run_client(&[&["login", "ann", "--password-stdin"], &addresses[..]].concat(), PASSWORD);
    assert_eq!(signed_in.code, 0, "{}", signed_in.stderr);
    let id = run_client(&["submit", "ECHO", "--ttl", "60s"], "").stdout;
    let listed = run_client(&["list", "-o", "id", "--backend-url", &second], "");
    assert_eq!((listed.code, listed.stdout), (0, id), "{}", listed.stderr);
    let whoami = run_client(&["whoami", "--backend-url", &second], "").stdout;
    assert!(whoami.contains(&format!("Backend  {second}\nissuer   {}", urls.identity)), "{whoami}");
    let by_name = second.replace("127.0.0.1", "localhost");
    assert_eq!(run_client(&["list", "--backend-url", &by_name], "").code, 0);
    let refused = run_client(&["list", "--backend-url", &other.backend_url], "");
    assert_eq!(refused.code, 4);
    assert!(
        refused.stderr.contains(&format!("not signed in at {}", other.backend_url)),
        "{}",
        refused.stderr
    );
    let addresses = ["--backend-url", &other.backend_url, "--identity-url", &urls.identity];
    let mismatched = run_client(&[&["login", "ann", "--password-stdin"], &addresses[..]].concat(), PASSWORD);
    assert_eq!(mismatched.code, 2, "{}", mismatched.stderr);
    let accepted = format!("accepts the tokens of {} and not those of {}", other.identity_url, urls.identity);
    assert!(mismatched.stderr.contains(&accepted), "{}", mismatched.stderr);
    assert_eq!(run_client(&["list"], "").code, 0, "the sign-in from before is still there");
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
    let run_client = tasker_with(up.home(), "TASKER_TOKEN", admin.token());
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
    let run_client = tasker_with(up.home(), "TASKER_TOKEN", admin.token());
    let unasked = run_client(&["user", "delete", "ann"], "");
    assert_eq!(unasked.code, 2);
    assert!(unasked.stderr.contains("without one use --yes"), "{}", unasked.stderr);
    let answer = |answer: &str| {
        let path = Path::new(env!("CARGO_BIN_EXE_tasker")).parent().unwrap();
        let mut script = std::process::Command::new("script");
        let arguments = ["--quiet", "--return", "--command", "tasker user delete ann", "/dev/null"];
        let script = script.args(arguments).current_dir(up.home()).env_clear();
        let script = script.env("PATH", format!("{}:/usr/bin:/bin", path.display()));
        run_with_input(script.env("TERM", "xterm").env("TASKER_TOKEN", admin.token()), answer).stdout
    };
    assert!(answer("n\n").contains("nothing was deleted"));
    assert!(run_client(&["user", "list", "-o", "id"], "").stdout.contains("ann"));
    let deleted = answer("y\n");
    assert!(deleted.contains("Delete the account ann?") && deleted.contains("ann is deleted"), "{deleted}");
    assert_eq!(run_client(&["user", "delete", "ann", "--yes"], "").code, 8);
    let last = run_client(&["user", "delete", "root", "--yes"], "");
    assert!(last.code == 1 && last.stderr.contains("this is the last administrator"), "{}", last.stderr);
    let suggested = run_client(&["user", "delate", "root"], "");
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
    let run_client = tasker_with(up.home(), "XDG_STATE_HOME", state.path());
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

/// The tokens of both accounts end while their commands wait: the one without a password says how to go on, the other one has signed
/// in again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_whose_token_ends_is_continued_or_says_how() {
    let up = TaskerUp::start();
    let admin = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
    let ann = ApiClient::register(&up.urls(), "ann").await;
    let sleep = ["submit", "SLEEP", r#"{"ms": 3600000}"#, "--ttl", "1h", "--wait"];
    let mut of_ann = Process::start(tasker_command(up.home(), sleep).env("TASKER_TOKEN", ann.token()));
    let mut of_local = Process::start(&mut tasker_command(up.home(), sleep));
    let (id_of_ann, id_of_local) = (of_ann.wait_for_line("submitted "), of_local.wait_for_line("submitted "));
    let as_admin = |arguments: &[&str]| {
        let command = &mut tasker_command(up.home(), arguments.iter().copied());
        assert_eq!(run(command.env("TASKER_TOKEN", admin.token())).code, 0, "{arguments:?}");
    };
    for arguments in [["user", "disable", "local"], ["user", "enable", "local"], ["user", "reset", "ann"]] {
        as_admin(&arguments);
    }
    let sentence = format!(
        "error: the sign-in ended during the wait, and the task continues: sign in again (`tasker login`, or another \
         TASKER_TOKEN), then wait again: tasker watch {id_of_ann}"
    );
    assert_eq!(of_ann.wait_for_exit().code(), Some(4), "{:?}", of_ann.output());
    assert_eq!(of_ann.output(), [format!("submitted {id_of_ann}"), sentence]);
    assert_eq!(up.run_command(["cancel", &id_of_local]).code, 0);
    assert_eq!(of_local.wait_for_exit().code(), Some(7), "{:?}", of_local.output());
}
