//! `tasker schedule`, against a `tasker up`.

use serde_json::Value;

use crate::kit::tasker_up::TaskerUp;

#[test]
fn a_schedule_is_set_listed_shown_run_paused_resumed_and_deleted() {
    let up = TaskerUp::start();
    let empty = up.run_command(["schedule", "list"]);
    assert_eq!((empty.code, empty.stdout.as_str(), empty.stderr.as_str()), (0, "", "no schedules"));
    let set = [
        "schedule",
        "set",
        "report",
        "ECHO",
        r#"{"n": 1}"#,
        "--cron",
        "30 6 1 1 *",
        "--time-zone",
        "Europe/Berlin",
        "--ttl",
        "5s",
    ];
    let shown = up.run_command(set);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("runs        30 6 1 1 * Europe/Berlin"), "{}", shown.stdout);
    assert!(shown.stdout.contains("-01-01T05:30:00.000Z, "), "{}", shown.stdout);
    assert_eq!(up.run_command(["schedule", "get", "report"]).stdout, shown.stdout);
    let listed = up.run_command(["schedule", "list"]).stdout;
    assert!(listed.starts_with("report  ECHO  ") && listed.ends_with("30 6 1 1 * Europe/Berlin"), "{listed}");
    assert_eq!(up.run_command(["schedule", "list", "-o", "id"]).stdout, "report");

    let id = up.run_command(["schedule", "run", "report"]).stdout;
    assert_eq!(up.run_command(["watch", &id]).stdout, r#"{"n": 1}"#);
    assert!(up.run_command(["get", &id]).stdout.contains("schedule    report"));

    assert!(up.run_command(["schedule", "pause", "report"]).stdout.contains("state       paused"));
    assert!(up.run_command(["schedule", "list"]).stdout.contains("  paused "));
    let resumed = up.run_command(["schedule", "resume", "report", "-o", "json"]).stdout;
    let resumed: Value = serde_json::from_str(&resumed).unwrap();
    assert_eq!((&resumed["paused"], &resumed["task"]["parameters"]["n"]), (&false.into(), &1.into()));
}

#[test]
fn a_schedule_is_replaced_by_one_with_a_period_and_deleted_and_a_broken_rule_is_explained() {
    let up = TaskerUp::start();
    let cron = ["schedule", "set", "report", "ECHO", "--cron", "@daily", "--ttl", "5s"];
    assert_eq!(up.run_command(cron).code, 0);
    let every = up.run_command([
        "schedule",
        "set",
        "report",
        "ECHO",
        "--every",
        "1h",
        "--ttl",
        "5s",
        "--missed",
        "skip",
        "--overlap",
        "skip",
        "-o",
        "json",
    ]);
    let every: Value = serde_json::from_str(&every.stdout).unwrap();
    assert_eq!(
        (&every["everyMs"], &every["missed"], &every["overlap"]),
        (&3_600_000.into(), &"skip".into(), &"skip".into())
    );

    assert_eq!(up.run_command(["schedule", "delete", "report"]).stderr, "report is deleted");
    let missing = up.run_command(["schedule", "get", "report"]);
    assert_eq!(
        missing.code,
        up.run_command(["get", "01890a5d-ac96-774b-bcce-b302099a8057"]).code,
        "{}",
        missing.stderr
    );
    assert!(missing.stderr.contains("there is no such schedule"), "{}", missing.stderr);
    let refused = up.run_command(["schedule", "set", "bad", "ECHO", "--cron", "61 * * * *", "--ttl", "5s"]);
    assert!(refused.code != 0 && refused.stderr.contains("cron has 5 fields"), "{}", refused.stderr);
}
