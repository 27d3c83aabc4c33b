//! The commands about many tasks: labels, cancellation by conditions, counts, and what administrators see.

use crate::kit::api_client::ApiClient;
use crate::kit::command::{run, tasker_command};
use crate::kit::tasker_up::TaskerUp;

#[test]
fn tasks_are_found_and_cancelled_by_label_type_and_status() {
    let up = TaskerUp::start();
    let submit = |arguments: &[&str]| {
        let sleep = ["submit", "SLEEP", r#"{"ms": 60000}"#, "--ttl", "60s", "--delay", "1h"];
        up.run_command([&sleep[..], arguments].concat()).stdout
    };
    let (nightly, other) =
        (submit(&["--label", "run=night ly", "--label", "team=a"]), submit(&["--label", "team=a"]));
    let list = |arguments: &[&str]| up.run_command([&["list", "-o", "id"], arguments].concat()).stdout;
    assert_eq!(list(&["--label", "run=night ly"]), nightly);
    assert_eq!(list(&["--label", "team=a", "--older-than", "1h"]), "");
    let shown = up.run_command(["get", nightly.trim()]).stdout;
    assert!(shown.contains("labels      run=night ly, team=a"), "{shown}");
    let next = up.run_command(["list", "--label", "team=a", "--label", "run=night ly", "--limit", "1"]);
    assert!(next.stderr.contains("list --label team=a --label 'run=night ly' --limit 1"), "{}", next.stderr);

    let unconfirmed = up.run_command(["cancel", "--label", "team=a"]);
    assert_eq!(unconfirmed.code, 2, "{}", unconfirmed.stderr);
    assert!(unconfirmed.stderr.contains("use --yes"), "{}", unconfirmed.stderr);
    for wrong in [vec!["cancel"], vec!["cancel", other.trim(), "--type", "SLEEP"], vec!["cancel", "--yes"]] {
        assert_eq!(up.run_command(wrong).code, 2);
    }
    let cancelled = up.run_command(["cancel", "--label", "run=night ly", "--yes"]);
    assert_eq!(cancelled.stdout.trim(), "1 task was cancelled", "{}", cancelled.stderr);
    assert_eq!(list(&["--status", "cancelled"]), nightly);
    let json = up.run_command(["cancel", "--type", "SLEEP", "--status", "created", "--yes", "-o", "json"]);
    assert_eq!(json.stdout.trim(), r#"{"cancelled":1,"hasMore":false}"#, "{}", json.stderr);
    let ended = up.run_command(["cancel", "--status", "finished", "--yes"]);
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("status must be CREATED or RUNNING"), "{}", ended.stderr);

    let counts = up.run_command(["counts"]).stdout;
    let words: Vec<Vec<&str>> = counts.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = [
        vec!["TYPE", "CREATED", "RUNNING", "FINISHED", "CANCELLED"],
        vec!["all", "0", "0", "0", "2"],
        vec!["SLEEP", "0", "0", "0", "2"],
    ];
    assert_eq!(words, expected, "{counts}");
}

#[tokio::test]
async fn administrators_see_and_cancel_the_tasks_of_all_owners() {
    let up = TaskerUp::start();
    let root = ApiClient::register_administrator(&up.urls(), &up.setup_link, "root").await;
    let submit = ["submit", "ECHO", r#"{"secret": 1}"#, "--ttl", "60s", "--delay", "1h"];
    let id = up.run_command(submit).stdout.trim().to_owned();
    let as_root = |arguments: &[&str]| {
        run(tasker_command(up.home(), arguments.iter().copied()).env("TASKER_TOKEN", root.token()))
    };
    let listed = as_root(&["admin", "list", "--status", "created", "--type", "ECHO"]).stdout;
    assert!(listed.starts_with(&id) && listed.contains("CREATED    ECHO  -"), "{listed}");
    let owner = listed.split_whitespace().nth(1).unwrap().to_owned();
    assert_eq!(as_root(&["admin", "list", "--owner", &owner, "-o", "id"]).stdout.trim(), id);
    assert_eq!(as_root(&["admin", "list", "--worker", "none"]).stderr.trim(), "no such tasks");
    let shown = as_root(&["admin", "get", &id]).stdout;
    assert!(shown.contains(&format!("owner       {owner}")) && !shown.contains("secret"), "{shown}");
    let cancelled = as_root(&["admin", "cancel", &id]).stdout;
    assert!(cancelled.contains("reason      REQUESTED\nby          "), "{cancelled}");
    assert!(up.run_command(["get", &id]).stdout.contains("\nby          "));
    assert!(as_root(&["admin", "counts", "--owner", &owner]).stdout.contains("ECHO"));
    assert_eq!(up.run_command(["admin", "list"]).code, 1, "the account local is no administrator");
}
