//! `tasker bench`: each measurement runs, counts its tasks by their ends, and leaves nothing.

use tempfile::TempDir;

use crate::kit::command::{run, tasker_command};
use crate::kit::tasker_up::TaskerUp;

/// Each measurement ends with a count of the tasks by their ends, and fails if a task did not end as expected.
#[test]
fn bench_measures_a_server_and_reconciles_the_tasks() {
    let up = TaskerUp::start_with(&["worker.slots=64"]);
    let bench = |arguments: &[&str]| {
        let output = up.run_command([&["bench"], arguments, &["--duration", "500ms", "-o", "json"]].concat());
        let report: serde_json::Value = serde_json::from_str(&output.stdout).expect("the report is JSON");
        (output.code, report)
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
    assert_eq!(
        (code, &report["complete"]),
        (1, &true.into()),
        "no task is lost, but all were expected to finish"
    );
    let output = up.run_command([&["bench"], &late[..], &["--duration", "100ms"]].concat()).stdout;
    assert!(output.contains(" TTL_EXPIRED: nothing was lost, "), "{output}");
    let table = up.run_command(["bench", "run", "--duration", "300ms"]).stdout;
    assert!(table.contains("until ended, ms: p50") && table.contains(" FINISHED"), "{table}");
    assert_eq!(up.run_command(["bench", "run", "--type", "NONE"]).code, 1);
    assert_eq!(up.run_command(["bench", "run", "--concurrency", "0"]).code, 2);
}

/// The server is one that the command starts and ends, so none is needed.
#[test]
fn bench_measures_each_isolation_level_and_a_burst_at_a_server_of_its_own() {
    let home = TempDir::new().unwrap();
    let bench = |arguments: &[&str]| {
        let output = run(&mut tasker_command(home.path(), [&["bench"], arguments].concat()));
        let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        (output, report)
    };
    for level in ["async", "process", "exec", "http"] {
        let (output, report) =
            bench(&["ttl", "--level", level, "--tasks", "3", "--ttl", "300ms", "--busy", "-o", "json"]);
        assert_eq!((output.code, &report["level"]), (0, &level.into()), "{output:?}");
        let cancel = &report["cancel"];
        for (part, end) in [(&report, "TTL_EXPIRED"), (cancel, "REQUESTED")] {
            assert_eq!(
                (&part["reconciliation"]["ends"][end], &part["unknown_stops"]),
                (&3.into(), &0.into())
            );
            assert!(part["stops"]["max"].as_f64().unwrap() > 0.0, "{part}");
        }
    }
    let (output, report) = bench(&["run", "--level", "exec", "--tasks", "3", "-o", "json"]);
    assert_eq!((output.code, &report["reconciliation"]["ends"]["FINISHED"]), (0, &3.into()), "{output:?}");
    let (output, report) = bench(&["burst", "--tasks", "300", "-o", "json"]);
    assert_eq!(
        (output.code, &report["reconciliation"]["ends"]["TTL_EXPIRED"]),
        (0, &300.into()),
        "{output:?}"
    );
    for wrong in [
        &["ttl", "--level", "exec", "--type", "SLEEP"][..],
        &["run", "--set", "worker.slots=4"],
        &["run", "--tasks", "3", "--duration", "1s"],
    ] {
        assert_eq!(bench(wrong).0.code, 2, "{wrong:?}");
    }
    let entries: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
    assert!(entries.is_empty(), "nothing is left in the directory: {entries:?}");
}
